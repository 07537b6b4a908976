import { MigrationError } from "@peregrine/protocol";
import type { BlockSink } from "@peregrine/protocol";
import { CHUNK_SIZE } from "@peregrine/shared-state";
import type { IncomingDrives } from "@peregrine/shared-state";
import type { Step } from "./machine-loader.ts";

/** Chunks that are held until they are written; when there are so many, decoding waits for the first. */
const MOST_WRITES = 4;

export interface BlockLoaderOptions {
  /** Opens the machine's drives. Called once. */
  readonly openDrives: () => Promise<IncomingDrives>;
  /** Has something done before decoding goes on. */
  readonly suspendFor: (step: Step) => void;
  /** Told how much of the first pass has come, in percent. */
  readonly progress: (percent: number) => void;
}

/** Writes decoded chunks to the drives of a machine, one after the other, so that the last of a place is the one that stays. */
export class BlockLoader implements BlockSink {
  readonly #options: BlockLoaderOptions;
  #opened: IncomingDrives | undefined;
  readonly #buffers: Uint8Array[] = [];
  #begun = 0;
  /** Those that decoding has not waited for, oldest first. */
  readonly #writes: Promise<void>[] = [];
  #lastWrite: Promise<void> = Promise.resolve();
  #firstPassOver = false;

  constructor(options: BlockLoaderOptions) {
    this.#options = options;
  }

  /** Opens the drives; before anything is decoded. */
  async open(): Promise<void> {
    this.#opened = await this.#options.openDrives();
  }

  /** Errors: BAD_DRIVE when the machine has no such drive, or it has no such chunk. */
  chunk(disk: string, offset: number, bytes: Uint8Array): boolean {
    const { drive, chunk } = this.#place(disk, offset);
    // Its last write is over, because decoding has waited for it.
    const buffer = (this.#buffers[this.#begun++ % MOST_WRITES] ??= new Uint8Array(CHUNK_SIZE));
    buffer.set(bytes);
    return this.#write((drives) => drives.write(drive, chunk, buffer));
  }

  /** Errors: as {@link chunk}. */
  zeroChunk(disk: string, offset: number): boolean {
    const { drive, chunk } = this.#place(disk, offset);
    return this.#write((drives) => drives.writeZeros(drive, chunk));
  }

  progress(percent: number): void {
    this.#options.progress(Math.min(percent, 100));
    if (percent < 100 || this.#firstPassOver) return;
    this.#firstPassOver = true;
    // What comes later is little: so the guest does not stand still until all of the first pass is on the disk.
    const drives = this.#present();
    this.#lastWrite = this.#lastWrite.then(() => drives.sync());
    this.#lastWrite.catch(() => {});
  }

  /** Resolves when everything that was decoded is written. Errors: those of writing. */
  async written(): Promise<void> {
    await this.#lastWrite;
  }

  /** Resolves when everything is on the disk and the drives are closed. Errors: those of writing. */
  async complete(): Promise<void> {
    await this.#lastWrite;
    await this.#opened?.sync();
    await this.close();
  }

  /** Resolves when nothing is being written any more and the drives are closed. */
  async close(): Promise<void> {
    await this.#lastWrite.catch(() => {});
    const drives = this.#opened;
    this.#opened = undefined;
    await drives?.close();
  }

  #place(disk: string, offset: number): { readonly drive: number; readonly chunk: number } {
    const { drives } = this.#present();
    const drive = drives.findIndex(({ id }) => id === disk);
    const found = drives[drive];
    if (found === undefined) {
      const text = `Unknown drive '${disk}', cannot accept migration: give this side the drives of the source`;
      throw new MigrationError("BAD_DRIVE", text);
    }
    if (offset >= found.length) {
      const text = `The drive '${disk}' of ${found.length} bytes is too small for the data at byte ${offset}, cannot accept migration`;
      throw new MigrationError("BAD_DRIVE", text);
    }
    if (offset % CHUNK_SIZE !== 0) {
      const text = `The data at byte ${offset} of drive '${disk}' does not begin at a multiple of ${CHUNK_SIZE}`;
      throw new MigrationError("BAD_DRIVE", text);
    }
    return { drive, chunk: offset / CHUNK_SIZE };
  }

  /** @returns whether decoding goes on at once; it is suspended otherwise. */
  #write(write: (drives: IncomingDrives) => Promise<void>): boolean {
    const drives = this.#present();
    const written = this.#lastWrite.then(() => write(drives));
    // It is thrown where it is waited for.
    written.catch(() => {});
    this.#lastWrite = written;
    this.#writes.push(written);
    if (this.#writes.length < MOST_WRITES) return true;
    this.#options.suspendFor(async () => this.#writes.shift());
    return false;
  }

  #present(): IncomingDrives {
    if (this.#opened === undefined) throw new MigrationError("INTERNAL", "the drives are not open");
    return this.#opened;
  }
}
