import { MigrationError } from "@peregrine/protocol";
import { lstat, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";

const OTHERS_MAY_WRITE = 0o022;

/** Where the agents of this user listen, each at `<name>.sock`. */
export function runtimeDirectoryPath(environment: NodeJS.ProcessEnv, userId: number): string {
  const own = environment["PEREGRINE_RUNTIME_DIR"];
  if (own !== undefined && own !== "") return resolve(own);
  const session = environment["XDG_RUNTIME_DIR"];
  if (session !== undefined && session !== "") return join(resolve(session), "peregrine");
  return `/tmp/peregrine-${userId}`;
}

/**
 * Makes the directory if it does not exist. Whoever can write to it could pose as an agent, so it has to
 * belong to this user alone. Errors: BAD_PARAMETER.
 */
export async function openRuntimeDirectory(path: string, userId: number): Promise<string> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unusable(path, `cannot be made: ${(cause as Error).message}`, cause);
  }
  const found = await lstat(path);
  if (!found.isDirectory()) throw unusable(path, "is not a directory");
  if (found.uid !== userId) throw unusable(path, `belongs to user ${found.uid}`);
  if ((found.mode & OTHERS_MAY_WRITE) !== 0) throw unusable(path, "can be written to by other users");
  return path;
}

function unusable(path: string, why: string, cause?: unknown): MigrationError {
  const message = `The runtime directory ${path} ${why}; set PEREGRINE_RUNTIME_DIR to a directory of your own`;
  return new MigrationError("BAD_PARAMETER", message, { cause });
}
