import fs from "node:fs";
import { promisify } from "node:util";
import type { OpenFile } from "./open-file.ts";

const read = promisify(fs.read);
const write = promisify(fs.write);
const fsync = promisify(fs.fsync);
const close = promisify(fs.close);

/** A file that somebody else has opened, by its descriptor. Closing it closes the descriptor. */
export class DescriptorFile implements OpenFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }> {
    return read(this.#descriptor, target, offset, length, position);
  }

  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesWritten: number }> {
    return write(this.#descriptor, bytes, offset, length, position);
  }

  sync(): Promise<void> {
    return fsync(this.#descriptor);
  }

  close(): Promise<void> {
    return close(this.#descriptor);
  }
}
