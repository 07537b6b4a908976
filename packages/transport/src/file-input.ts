import { MigrationError } from "@peregrine/protocol";
import type { Channel } from "./channel.ts";
import { systemError } from "./errno.ts";
import { refused } from "./handled-promise.ts";
import type { OpenFile } from "./open-file.ts";

/** Bytes that are read at once. */
const CHUNK_BYTES = 512 * 1024;

/** A channel whose incoming bytes are those of a file. There is nobody to write to. */
export class FileInputChannel implements Channel {
  readonly peer: string;
  readonly medium = "file";
  readonly bytesWritten = 0;
  readonly closed: Promise<void>;
  readonly #closed = Promise.withResolvers<void>();
  readonly #handle: OpenFile;
  readonly #start: number;
  #bytesRead = 0;
  #error: MigrationError | undefined;

  /** @param start offset in the file of the first byte to be read. */
  constructor(handle: OpenFile, peer: string, start: number) {
    this.#handle = handle;
    this.peer = peer;
    this.#start = start;
    this.closed = this.#closed.promise;
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  get error(): MigrationError | undefined {
    return this.#error;
  }

  write(): Promise<void> {
    return refused(
      this.#error ??
        new MigrationError("CHANNEL_FAILED", `Writing to '${this.peer}' failed: the file is being read`),
    );
  }

  end(): Promise<void> {
    return this.#error === undefined ? Promise.resolve() : refused(this.#error);
  }

  async *read(): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      const chunk = await this.#next();
      if (chunk.length === 0) return;
      this.#bytesRead += chunk.length;
      yield chunk;
    }
  }

  destroy(error?: MigrationError): void {
    if (this.#error !== undefined) return;
    this.#error = error ?? this.#failure("closed at this end");
    void this.#release();
  }

  /** The next bytes; none at the end of the file. */
  async #next(): Promise<Uint8Array> {
    const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    try {
      if (this.#error !== undefined) throw this.#error;
      const { bytesRead } = await this.#handle.read(chunk, 0, CHUNK_BYTES, this.#start + this.#bytesRead);
      // What was read for a caller that is told of the failure is read for nobody.
      if (this.#error !== undefined) throw this.#error;
      return chunk.subarray(0, bytesRead);
    } catch (cause) {
      this.destroy(systemError("CHANNEL_FAILED", `Reading '${this.peer}' failed`, cause));
      throw this.#error ?? cause;
    }
  }

  async #release(): Promise<void> {
    // Nothing was written, so nothing is lost when it cannot be closed in order.
    await this.#handle.close().catch(() => {});
    this.#closed.resolve();
  }

  #failure(reason: string): MigrationError {
    return new MigrationError("CHANNEL_FAILED", `Reading '${this.peer}' failed: ${reason}`);
  }
}
