import fs from "node:fs";
import { dirname } from "node:path";
import { MigrationError } from "@peregrine/protocol";
import type { FileLocks } from "./file-locks.ts";
import { fsync } from "./file-io.ts";

const REASONS: Readonly<Partial<Record<string, string>>> = {
  ENOENT: "does not exist",
  EACCES: "cannot be opened: permission denied",
  EROFS: "cannot be opened for writing: its file system is read-only",
};

/**
 * Opens a file and locks it, such that it is the file that has the name then.
 * @param what the file as error texts name it.
 * Errors: NO_SUCH_FILE, DRIVE_LOCKED, NO_DRIVE_LOCKS.
 */
export function openLocked(
  path: string,
  flags: number,
  {
    what,
    kind,
    locks,
    mode,
  }: { what: string; kind: "exclusive" | "shared"; locks: FileLocks; mode?: number },
): number {
  for (;;) {
    const fd = openFile(path, flags, what, mode);
    try {
      if (!locks.lock(fd, kind)) throw lockedByOther(what);
      if (isAt(fd, path)) return fd;
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
    // Another process has put a new file in its place since it was opened.
    fs.closeSync(fd);
  }
}

export function lockedByOther(what: string): MigrationError {
  return new MigrationError(
    "DRIVE_LOCKED",
    `${what} is in use by another process; end the guest or program that uses it, or name another file`,
  );
}

/** Whether an open file is the one that has this name. */
export function isAt(fd: number, path: string): boolean {
  const named = fs.statSync(path, { bigint: true, throwIfNoEntry: false });
  const open = fs.fstatSync(fd, { bigint: true });
  return named !== undefined && named.dev === open.dev && named.ino === open.ino;
}

/** Resolves when the names in a file's directory are on the medium. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = fs.openSync(dirname(path), "r");
  try {
    await fsync(directory);
  } finally {
    fs.closeSync(directory);
  }
}

/** Errors of the file system become WRITE_FAILED. `what` could not be done, as a sentence says it. */
export function writeFailed(what: string, cause: unknown): MigrationError {
  if (MigrationError.is(cause)) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MigrationError("WRITE_FAILED", `${what}: ${reason}`, { cause });
}

/** What a file is, following links. Errors: NO_SUCH_FILE; BAD_DRIVE for anything but a regular file. */
export function statImage(path: string, what: string): fs.Stats {
  let stat: fs.Stats;
  try {
    stat = fs.statSync(path);
  } catch (cause) {
    throw unopened(what, cause);
  }
  if (stat.isFile()) return stat;
  throw new MigrationError("BAD_DRIVE", `${what} is no regular file; name one that holds the drive's bytes`);
}

function openFile(path: string, flags: number, what: string, mode?: number): number {
  try {
    return fs.openSync(path, flags, mode);
  } catch (cause) {
    throw unopened(what, cause);
  }
}

function unopened(what: string, cause: unknown): MigrationError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new MigrationError(
    "NO_SUCH_FILE",
    `${what} ${REASONS[code ?? ""] ?? `cannot be opened: ${message}`}`,
    {
      cause,
    },
  );
}
