import { MigrationError } from "@peregrine/protocol";
import { lstat, mkdir, realpath } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

/** Anything for the group or for others. */
const OPEN_TO_OTHERS = 0o077;
const OTHERS_MAY_WRITE = 0o002;
/** Who can write to such a folder can still not rename or remove what others have there. */
const STICKY = 0o1000;

/** Where the agents of this user listen, each at `<name>.sock`. */
export function runtimeDirectoryPath(environment: NodeJS.ProcessEnv, userId: number): string {
  const own = environment["PEREGRINE_RUNTIME_DIR"];
  if (own !== undefined && own !== "") return resolve(own);
  const session = environment["XDG_RUNTIME_DIR"];
  if (session !== undefined && session !== "") return join(resolve(session), "peregrine");
  return `/tmp/peregrine-${userId}`;
}

/**
 * Makes the directory if it does not exist. Whoever can write to it could pose as an agent, and what lies in it is
 * nobody else's concern, so it has to belong to this user alone, and nobody may be able to put another one in its place.
 * Errors: BAD_PARAMETER.
 */
export async function openRuntimeDirectory(path: string, userId: number): Promise<string> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unusable(path, `cannot be made: ${(cause as Error).message}`, { cause });
  }
  const found = await lstat(path);
  if (found.isSymbolicLink()) throw unusable(path, "is a symbolic link");
  if (!found.isDirectory()) throw unusable(path, "is not a directory");
  if (found.uid !== userId) throw unusable(path, `belongs to user ${found.uid}`);
  if ((found.mode & OPEN_TO_OTHERS) !== 0) {
    throw unusable(path, "is open to other users", { remedy: `run chmod 700 ${path}, or ` });
  }
  await checkParents(path);
  return path;
}

/** Errors: BAD_PARAMETER where another user could rename a directory above and put his own in its place. */
async function checkParents(path: string): Promise<void> {
  const real = await realpath(path);
  for (let parent = dirname(real); ; parent = dirname(parent)) {
    const { mode } = await lstat(parent);
    if ((mode & OTHERS_MAY_WRITE) !== 0 && (mode & STICKY) === 0) {
      throw unusable(path, `lies in ${parent}, which any user can write to`);
    }
    if (parent === dirname(parent)) return;
  }
}

function unusable(
  path: string,
  why: string,
  { remedy = "", cause }: { readonly remedy?: string; readonly cause?: unknown } = {},
): MigrationError {
  const message = `The runtime directory ${path} ${why}; ${remedy}set PEREGRINE_RUNTIME_DIR to a directory of your own`;
  return new MigrationError("BAD_PARAMETER", message, { cause });
}
