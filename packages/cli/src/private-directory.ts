import { MigrationError } from "@peregrine/protocol";
import { lstat, mkdir, realpath } from "node:fs/promises";
import { dirname } from "node:path";

/** Anything for the group or for others. */
const OPEN_TO_OTHERS = 0o077;
const OTHERS_MAY_WRITE = 0o002;
/** Who can write to such a folder can still not rename or remove what others have there. */
const STICKY = 0o1000;

export interface PrivateDirectory {
  readonly userId: number;
  /** As error texts name it: `The runtime directory`. */
  readonly what: string;
  /** What to do when it is of no use. */
  readonly instead: string;
}

/**
 * Makes the directory if it does not exist. Whoever can write to it could pose as an agent, or decide who has a guest,
 * and what lies in it is nobody else's concern: so it has to belong to this user alone, and nobody may be able to put
 * another one in its place. Errors: BAD_PARAMETER.
 */
export async function openPrivateDirectory(path: string, how: PrivateDirectory): Promise<string> {
  const unusable = (why: string, detail?: Unusable): MigrationError => refusal(path, how, why, detail);
  const { userId } = how;
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unusable(`cannot be made: ${(cause as Error).message}`, { cause });
  }
  const found = await lstat(path);
  if (found.isSymbolicLink()) throw unusable("is a symbolic link");
  if (!found.isDirectory()) throw unusable("is not a directory");
  if (found.uid !== userId) throw unusable(`belongs to user ${found.uid}`);
  if ((found.mode & OPEN_TO_OTHERS) !== 0) {
    throw unusable("is open to other users", { remedy: `run chmod 700 ${path}, or ` });
  }
  await checkParents(path, unusable);
  return path;
}

/** Errors: BAD_PARAMETER where another user could rename a directory above and put his own in its place. */
async function checkParents(path: string, unusable: (why: string) => MigrationError): Promise<void> {
  const real = await realpath(path);
  for (let parent = dirname(real); ; parent = dirname(parent)) {
    const { mode } = await lstat(parent);
    if ((mode & OTHERS_MAY_WRITE) !== 0 && (mode & STICKY) === 0) {
      throw unusable(`lies in ${parent}, which any user can write to`);
    }
    if (parent === dirname(parent)) return;
  }
}

interface Unusable {
  readonly remedy?: string;
  readonly cause?: unknown;
}

function refusal(
  path: string,
  { what, instead }: PrivateDirectory,
  why: string,
  { remedy = "", cause }: Unusable = {},
): MigrationError {
  return new MigrationError("BAD_PARAMETER", `${what} ${path} ${why}; ${remedy}${instead}`, { cause });
}
