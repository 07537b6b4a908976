import { MigrationError } from "@peregrine/protocol";
import { open, truncate, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import type { Channel, SeekableOutput } from "./channel.ts";
import { systemError } from "./errno.ts";
import { refused } from "./handled-promise.ts";
import type { OpenFile } from "./open-file.ts";

/** What was at the path before. An unfinished file is made to be that again. */
export type FileBefore =
  | { readonly kind: "missing" }
  /** With so many bytes. */
  | { readonly kind: "existed"; readonly size: number }
  /** Somebody else has opened the file, and sees to what is left in it. */
  | { readonly kind: "foreign" };

export interface FileOutputOptions {
  readonly handle: OpenFile;
  /** Its path, or how error texts name it if it is foreign. */
  readonly path: string;
  /** Offset in the file of the first byte to be written. */
  readonly offset: number;
  readonly before: FileBefore;
}

/**
 * A channel into a file. After {@link end} the file is on the disk, whatever happens to this machine; a channel that is
 * dropped before that leaves nothing of it behind. Nobody answers: `read` waits until the channel is closed.
 */
export class FileOutputChannel implements Channel, SeekableOutput {
  readonly peer: string;
  readonly medium = "file";
  readonly bytesRead = 0;
  readonly closed: Promise<void>;
  readonly file: SeekableOutput = this;
  readonly #closed = Promise.withResolvers<void>();
  readonly #handle: OpenFile;
  readonly #before: FileBefore;
  #position: number;
  #bytesWritten = 0;
  #error: MigrationError | undefined;
  /** Resolves when every write so far is done. */
  #written: Promise<void> = Promise.resolve();
  #ending: Promise<void> | undefined;
  /** The file is complete. */
  #ended = false;
  #dropped = false;

  constructor({ handle, path, offset, before }: FileOutputOptions) {
    this.peer = path;
    this.closed = this.#closed.promise;
    this.#handle = handle;
    this.#before = before;
    this.#position = offset;
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  get error(): MigrationError | undefined {
    return this.#error;
  }

  get position(): number {
    return this.#position;
  }

  seek(position: number): void {
    this.#position = position;
  }

  write(bytes: Uint8Array): Promise<void> {
    const position = this.#position;
    this.#position += bytes.length;
    return this.writeAt(bytes, position);
  }

  writeAt(bytes: Uint8Array, position: number): Promise<void> {
    const refusal =
      this.#error ?? (this.#ending === undefined ? undefined : this.#failure("write after end"));
    if (refusal !== undefined) return refused(refusal);
    const writing = this.#writeAll(bytes, position);
    // A caller may still be waiting for an earlier write, and `end` waits for all of them.
    this.#written = this.#written.then(() => writing);
    this.#written.catch(() => {});
    writing.catch(() => {});
    return writing;
  }

  end(): Promise<void> {
    if (this.#ending !== undefined) return this.#ending;
    if (this.#error !== undefined) return refused(this.#error);
    this.#ending = this.#finish();
    this.#ending.catch(() => {});
    return this.#ending;
  }

  // oxlint-disable-next-line eslint/require-yield -- a file says nothing
  async *read(): AsyncGenerator<Uint8Array, void, void> {
    await this.closed;
    if (this.#error !== undefined) throw this.#error;
  }

  destroy(error?: MigrationError): void {
    if (this.#dropped) return;
    this.#dropped = true;
    if (!this.#ended) this.#error = error ?? this.#failure("closed at this end");
    void this.#release();
  }

  async #writeAll(bytes: Uint8Array, position: number): Promise<void> {
    await this.#attempt(async () => {
      for (let done = 0; done < bytes.length;) {
        const left = bytes.length - done;
        const { bytesWritten } = await this.#handle.write(bytes, done, left, position + done);
        done += bytesWritten;
      }
    });
    this.#bytesWritten += bytes.length;
  }

  async #finish(): Promise<void> {
    await this.#written;
    await this.#attempt(async () => {
      await this.#handle.sync();
      if (this.#before.kind === "missing") await syncFolder(this.peer);
      await this.#handle.close();
    });
    this.#ended = true;
  }

  /** Does it, unless the channel is or was dropped meanwhile. A failure drops it. */
  async #attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (cause) {
      this.destroy(systemError("CHANNEL_FAILED", `Writing to '${this.peer}' failed`, cause));
    }
    if (this.#error !== undefined) throw this.#error;
  }

  async #release(): Promise<void> {
    // This waits for writes that are under way. What cannot be cleaned up is no reason to fail twice.
    await this.#handle.close().catch(() => {});
    if (!this.#ended) await this.#undo().catch(() => {});
    this.#closed.resolve();
  }

  async #undo(): Promise<void> {
    if (this.#before.kind === "missing") await unlink(this.peer);
    else if (this.#before.kind === "existed") await truncate(this.peer, this.#before.size);
  }

  #failure(reason: string): MigrationError {
    return new MigrationError("CHANNEL_FAILED", `Writing to '${this.peer}' failed: ${reason}`);
  }
}

/** Makes the name of a new file as lasting as its contents. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
