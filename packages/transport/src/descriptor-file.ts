import { MigrationError } from "@peregrine/protocol";
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
  readonly #underWay = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }> {
    return this.#use(() => read(this.#descriptor, target, offset, length, position));
  }

  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesWritten: number }> {
    return this.#use(() => write(this.#descriptor, bytes, offset, length, position));
  }

  sync(): Promise<void> {
    return this.#use(() => fsync(this.#descriptor));
  }

  /** Waits for what is under way. Once only: the number may soon be another file's. */
  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#underWay).then(() => close(this.#descriptor));
    return this.#closing;
  }

  async #use<T>(action: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw new MigrationError("CHANNEL_FAILED", "The descriptor is closed");
    const work = action();
    this.#underWay.add(work);
    try {
      return await work;
    } finally {
      this.#underWay.delete(work);
    }
  }
}
