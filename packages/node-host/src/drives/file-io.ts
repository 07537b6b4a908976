import fs from "node:fs";
import { promisify } from "node:util";

const readSome = promisify(fs.read);
const writeSome = promisify(fs.write);

/** Resolves when the data of an open file, and its size, are on the medium. */
export const fdatasync = promisify(fs.fdatasync);
export const fsync = promisify(fs.fsync);

/** An image file that ends before its drive does, as when somebody cut it off. */
class ShortFile extends Error {
  readonly code = "EIO";
  readonly syscall = "read";
}

/** Fills `target` from byte `position` on. */
export function readAll(fd: number, target: Uint8Array, position: number): void {
  for (let at = 0; at < target.length;) {
    const length = fs.readSync(fd, target, at, target.length - at, position + at);
    if (length === 0) throw new ShortFile("the file is shorter than it was");
    at += length;
  }
}

/** Writes all of `bytes` from byte `position` on. */
export function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at, bytes.length - at, position + at);
}

/** As {@link readAll}, in the background. */
export async function readLater(fd: number, target: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < target.length;) {
    const { bytesRead } = await readSome(fd, target, at, target.length - at, position + at);
    if (bytesRead === 0) throw new ShortFile("the file is shorter than it was");
    at += bytesRead;
  }
}

/** As {@link writeAll}, in the background; `bytes` must not change meanwhile. */
export async function writeLater(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await writeSome(fd, bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
