import { MigrationError } from "@peregrine/protocol";
import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { systemError } from "../errno.ts";

/** Certificates, keys and lists of rules are small; whatever has more bytes is something else. */
const MAX_FILE_BYTES = 1 << 20;

const OTHERS_WRITE = 0o002;
const OTHERS_ANYTHING = 0o007;
const GROUP_WRITES = 0o020;
const STICKY = 0o1000;

/** Whether what is in a file has to be kept from others, or is only not to be changed by them. */
export type Secrecy = "secret" | "public";

/** The directory that credentials are read from. Others must not be able to put files there. Errors: BAD_CREDENTIALS. */
export async function checkDirectory(directory: string): Promise<void> {
  const found = await stat(directory).catch((error: unknown) => {
    throw systemError("BAD_CREDENTIALS", `Could not open the directory '${directory}'`, error);
  });
  if (!found.isDirectory()) throw bad(`'${directory}' is no directory`);
  if ((found.mode & OTHERS_WRITE) !== 0 && (found.mode & STICKY) === 0) {
    throw bad(`Everybody on this host can put files into '${directory}': take that away with chmod o-w`);
  }
}

/** As {@link readCredential}; undefined where the file is not there. */
export async function readOptionalCredential(
  directory: string,
  name: string,
  secrecy: Secrecy,
): Promise<string | undefined> {
  try {
    return await readCredential(directory, name, secrecy);
  } catch (error) {
    if (MigrationError.is(error) && isAbsent(error.cause)) return undefined;
    throw error;
  }
}

/**
 * The text of a file. One with a secret must be its owner's alone, but that a group may read it: services are given
 * their keys so. One that others can change proves nothing. Errors: BAD_CREDENTIALS.
 */
export async function readCredential(directory: string, name: string, secrecy: Secrecy): Promise<string> {
  const path = join(directory, name);
  return readSmallFile(path, "a certificate or a key", (mode) => requirePrivate(path, mode, secrecy));
}

/**
 * The text of a regular file; others are not waited for, and nothing is read of them. Errors: BAD_CREDENTIALS.
 * @param purpose what it is too large for, for example `a list of rules`.
 * @param checkMode throws for one whose permissions are not as they have to be.
 */
export async function readSmallFile(
  path: string,
  purpose: string,
  checkMode: (mode: number) => void = () => {},
): Promise<string> {
  const requireSmall = (bytes: number): void => {
    if (bytes > MAX_FILE_BYTES) throw bad(`'${path}' is too large for ${purpose}`);
  };
  try {
    // Opening a pipe would wait for its other end.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = await file.stat();
    if (!found.isFile()) throw bad(`'${path}' is no file`);
    requireSmall(found.size);
    checkMode(found.mode);
    // It may have more than it says: it may grow meanwhile, and those of the kernel say nothing.
    const bytes = await buffer(file.createReadStream({ end: MAX_FILE_BYTES }));
    requireSmall(bytes.length);
    return bytes.toString("utf8");
  } catch (error) {
    throw systemError("BAD_CREDENTIALS", `Could not open '${path}'`, error);
  }
}

function requirePrivate(path: string, mode: number, secrecy: Secrecy): void {
  if (secrecy === "public") {
    if ((mode & OTHERS_WRITE) === 0) return;
    throw bad(`Everybody on this host can change '${path}': take that away with chmod o-w`);
  }
  if ((mode & (OTHERS_ANYTHING | GROUP_WRITES)) === 0) return;
  const permissions = (mode & 0o777).toString(8).padStart(3, "0");
  throw bad(
    `'${path}' holds a secret and is open to others (mode ${permissions}): make it its owner's with chmod 600, or 640 for a group`,
  );
}

function isAbsent(cause: unknown): boolean {
  return (cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
}

function bad(text: string): MigrationError {
  return new MigrationError("BAD_CREDENTIALS", text);
}
