import { ALL_FD_FLAGS, MAX_POSITION } from "./abi.ts";
import { ALL_RIGHTS } from "./rights.ts";
import { WASI_LIMITS } from "./state.ts";
import type { DescriptorState, Preopen, WasiConfig, WasiState } from "./state.ts";

const encoder = new TextEncoder();

/** Why a guest cannot have these arguments, environment and directories; undefined when it can. */
export function configProblem(config: WasiConfig): string | undefined {
  const strings = [...config.args, ...config.env];
  if (config.args.length > WASI_LIMITS.strings) return `more than ${WASI_LIMITS.strings} arguments`;
  if (config.env.length > WASI_LIMITS.strings) return `more than ${WASI_LIMITS.strings} environment entries`;
  if (config.preopens.length > WASI_LIMITS.preopens) return `more than ${WASI_LIMITS.preopens} directories`;
  let total = 0;
  for (const text of strings) {
    const problem = textProblem(text, WASI_LIMITS.stringBytes);
    if (problem !== undefined) return `an argument or environment entry ${problem}`;
    total += utf8Length(text);
  }
  if (total > WASI_LIMITS.allStringBytes) {
    return `arguments and environment of more than ${WASI_LIMITS.allStringBytes} bytes`;
  }
  if (config.env.some((entry) => entry.indexOf("=") < 1))
    return "an environment entry is not of the form KEY=VALUE";
  return config.preopens.map(preopenProblem).find((problem) => problem !== undefined);
}

/** What is wrong with a state that a peer sent; undefined when nothing is. */
export function stateProblem(state: WasiState): string | undefined {
  const problem = configProblem(state);
  if (problem !== undefined) return problem;
  if (state.descriptors.length > WASI_LIMITS.descriptors)
    return `more than ${WASI_LIMITS.descriptors} descriptors`;
  const seen = new Set<number>();
  for (const descriptor of state.descriptors) {
    if (seen.has(descriptor.fd)) return `descriptor ${descriptor.fd} appears twice`;
    seen.add(descriptor.fd);
    const fault = descriptorProblem(descriptor, state.preopens.length);
    if (fault !== undefined) return `descriptor ${descriptor.fd} ${fault}`;
  }
  if (state.consoleInput.length > WASI_LIMITS.consoleInputBytes) {
    return `more than ${WASI_LIMITS.consoleInputBytes} bytes of console input`;
  }
  if (state.pollStartedNs !== undefined && state.pollStartedNs > state.monotonicNs) {
    return "a wait that began in the future";
  }
  return undefined;
}

function preopenProblem({ guestPath, hostPath }: Preopen): string | undefined {
  for (const path of [guestPath, hostPath]) {
    if (path === "") return "a directory has an empty path";
    const problem = textProblem(path, WASI_LIMITS.pathBytes);
    if (problem !== undefined) return `the path of a directory ${problem}`;
  }
  return undefined;
}

function descriptorProblem(descriptor: DescriptorState, roots: number): string | undefined {
  const { fd, rights, inheritingRights, flags } = descriptor;
  if (fd >= WASI_LIMITS.descriptors) return `is not below ${WASI_LIMITS.descriptors}`;
  if ((rights | inheritingRights) >>> 0 > ALL_RIGHTS) return "has unknown rights";
  if (flags > ALL_FD_FLAGS) return "has unknown flags";
  if (descriptor.kind === "console") return undefined;
  if (descriptor.root >= roots) return "is in a directory that the state does not have";
  if (descriptor.path !== "" || descriptor.kind === "file") {
    const problem = pathProblem(descriptor.path);
    if (problem !== undefined) return problem;
  }
  if (descriptor.kind === "directory") {
    return descriptor.preopened && descriptor.path !== "" ? "is preopened below its directory" : undefined;
  }
  if (descriptor.position > MAX_POSITION || descriptor.size > MAX_POSITION)
    return "has an illegal position or size";
  return descriptor.read || descriptor.write ? undefined : "is open neither for reading nor for writing";
}

/** A path of an open file has no dot components, no empty ones, and does not begin with a slash. */
function pathProblem(path: string): string | undefined {
  const problem = textProblem(path, WASI_LIMITS.pathBytes);
  if (problem !== undefined) return `has a path that ${problem}`;
  const isPlain = path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  return isPlain ? undefined : "has a path with empty or dot components";
}

function textProblem(text: string, limit: number): string | undefined {
  if (text.includes("\0")) return "has a zero byte";
  if (!text.isWellFormed()) return "is not valid Unicode";
  return utf8Length(text) > limit ? `is longer than ${limit} bytes` : undefined;
}

function utf8Length(text: string): number {
  return encoder.encode(text).length;
}
