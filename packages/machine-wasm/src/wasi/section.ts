import { MigrationError } from "@peregrine/protocol";
import { defineState } from "@peregrine/shared-state";
import type { StateOf } from "@peregrine/shared-state";
import { WASI_LIMITS } from "./state.ts";
import type { DescriptorState, Preopen, WasiState } from "./state.ts";
import { stateProblem } from "./validate.ts";

const TEXT = defineState({
  name: "wasi-text",
  version: 1,
  fields: [
    { name: "length", type: "uint32" },
    { name: "utf8", type: "buffer", length: { from: "length", max: WASI_LIMITS.stringBytes } },
  ],
});

const PREOPEN = defineState({
  name: "wasi-preopen",
  version: 1,
  fields: [
    { name: "guestPath", type: "struct", struct: TEXT },
    { name: "hostPath", type: "struct", struct: TEXT },
  ],
});

/** One layout for all kinds; what a kind does not have is zero. */
const DESCRIPTOR = defineState({
  name: "wasi-descriptor",
  version: 1,
  fields: [
    { name: "number", type: "uint32" },
    { name: "kind", type: "uint8" },
    { name: "rights", type: "uint32" },
    { name: "inheritingRights", type: "uint32" },
    { name: "flags", type: "uint16" },
    { name: "stream", type: "uint8" },
    { name: "root", type: "uint32" },
    { name: "path", type: "struct", struct: TEXT },
    { name: "gone", type: "bool" },
    { name: "preopened", type: "bool" },
    { name: "read", type: "bool" },
    { name: "write", type: "bool" },
    { name: "position", type: "uint64" },
    { name: "size", type: "uint64" },
  ],
});

/** The section that carries a {@link WasiState}. */
export const WASI_STATE = defineState({
  name: "wasi",
  version: 1,
  fields: [
    { name: "argCount", type: "uint32" },
    { name: "args", type: "array", of: TEXT, count: { from: "argCount", max: WASI_LIMITS.strings } },
    { name: "envCount", type: "uint32" },
    { name: "env", type: "array", of: TEXT, count: { from: "envCount", max: WASI_LIMITS.strings } },
    { name: "preopenCount", type: "uint32" },
    {
      name: "preopens",
      type: "array",
      of: PREOPEN,
      count: { from: "preopenCount", max: WASI_LIMITS.preopens },
    },
    { name: "descriptorCount", type: "uint32" },
    {
      name: "descriptors",
      type: "array",
      of: DESCRIPTOR,
      count: { from: "descriptorCount", max: WASI_LIMITS.descriptors },
    },
    { name: "monotonicNs", type: "uint64" },
    { name: "pollPending", type: "bool" },
    { name: "pollStartedNs", type: "uint64" },
    { name: "inputLength", type: "uint32" },
    { name: "input", type: "buffer", length: { from: "inputLength", max: WASI_LIMITS.consoleInputBytes } },
    { name: "inputEnded", type: "bool" },
    { name: "exited", type: "bool" },
    { name: "exitStatus", type: "uint32" },
  ],
});

/** The payload of section `wasi`, as values. */
export type WasiSection = StateOf<typeof WASI_STATE>;
type Text = StateOf<typeof TEXT>;
type DescriptorSection = StateOf<typeof DESCRIPTOR>;

const KINDS = ["console", "directory", "file"] as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Errors: DEVICE_STATE for a state that the section cannot hold. */
export function toSection(state: WasiState): WasiSection {
  const problem = stateProblem(state);
  if (problem !== undefined) {
    throw new MigrationError("DEVICE_STATE", `the guest cannot be moved: ${problem}`, {
      section: WASI_STATE.name,
    });
  }
  return {
    argCount: state.args.length,
    args: state.args.map(toText),
    envCount: state.env.length,
    env: state.env.map(toText),
    preopenCount: state.preopens.length,
    preopens: state.preopens.map((preopen) => ({
      guestPath: toText(preopen.guestPath),
      hostPath: toText(preopen.hostPath),
    })),
    descriptorCount: state.descriptors.length,
    descriptors: state.descriptors.map(toDescriptor),
    monotonicNs: state.monotonicNs,
    pollPending: state.pollStartedNs !== undefined,
    pollStartedNs: state.pollStartedNs ?? 0n,
    inputLength: state.consoleInput.length,
    input: state.consoleInput,
    inputEnded: state.consoleInputEnded,
    exited: state.exitStatus !== undefined,
    exitStatus: state.exitStatus ?? 0,
  };
}

/** Checks everything a peer sent. Errors: BAD_SECTION. */
export function fromSection(section: WasiSection): WasiState {
  const state: WasiState = {
    args: section.args.map(fromText),
    env: section.env.map(fromText),
    preopens: section.preopens.map((preopen): Preopen => ({
      guestPath: fromText(preopen.guestPath),
      hostPath: fromText(preopen.hostPath),
    })),
    descriptors: section.descriptors.map(fromDescriptor),
    monotonicNs: section.monotonicNs,
    pollStartedNs: section.pollPending ? section.pollStartedNs : undefined,
    consoleInput: section.input.slice(),
    consoleInputEnded: section.inputEnded,
    exitStatus: section.exited ? section.exitStatus : undefined,
  };
  const problem = stateProblem(state);
  if (problem !== undefined) throw badSection(problem);
  return state;
}

function toDescriptor(state: DescriptorState): DescriptorSection {
  const place = state.kind === "console" ? { root: 0, path: "", gone: false } : state;
  const file = state.kind === "file" ? state : { read: false, write: false, position: 0n, size: 0n };
  return {
    number: state.fd,
    kind: KINDS.indexOf(state.kind),
    rights: state.rights,
    inheritingRights: state.inheritingRights,
    flags: state.flags,
    stream: state.kind === "console" ? state.stream : 0,
    root: place.root,
    path: toText(place.path),
    gone: place.gone,
    preopened: state.kind === "directory" && state.preopened,
    read: file.read,
    write: file.write,
    position: file.position,
    size: file.size,
  };
}

function fromDescriptor(section: DescriptorSection): DescriptorState {
  const { rights, inheritingRights, flags, stream, root, gone, number: fd } = section;
  const common = { fd, rights, inheritingRights, flags };
  const place = { root, path: fromText(section.path), gone };
  const kind = KINDS[section.kind];
  switch (kind) {
    case "console":
      if (stream !== 0 && stream !== 1 && stream !== 2)
        throw badSection(`descriptor ${fd} is console stream ${stream}`);
      return { ...common, kind, stream };
    case "directory":
      return { ...common, ...place, kind, preopened: section.preopened };
    case "file": {
      const { read, write, position, size } = section;
      return { ...common, ...place, kind, read, write, position, size };
    }
    default:
      throw badSection(`descriptor ${fd} is of unknown kind ${section.kind}`);
  }
}

function toText(text: string): Text {
  const utf8 = encoder.encode(text);
  return { length: utf8.length, utf8 };
}

function fromText(text: Text): string {
  try {
    return decoder.decode(text.utf8);
  } catch (cause) {
    throw badSection("a text that is not UTF-8", cause);
  }
}

function badSection(problem: string, cause?: unknown): MigrationError {
  return new MigrationError("BAD_SECTION", `the peer sent a wasi section that cannot be right: ${problem}`, {
    section: WASI_STATE.name,
    ...(cause === undefined ? {} : { cause }),
  });
}
