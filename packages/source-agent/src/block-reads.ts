import { CHUNK_SIZE } from "@peregrine/shared-state";
import type { OutgoingDrives } from "@peregrine/shared-state";

/** Chunks that are read ahead of the one being sent: so many requests are in flight, and so many MiB are held. */
const MOST_READS = 16;

/** A chunk on its way from its drive. */
export interface BlockRead {
  readonly drive: number;
  readonly chunk: number;
  /** CHUNK_SIZE bytes, when `done` has resolved. */
  readonly bytes: Buffer;
  readonly done: Promise<void>;
  /** Whether `done` has settled. */
  isOver: boolean;
}

/** Reads chunks of drives, several at once, and gives them out in the order in which they were begun. */
export class BlockReads {
  readonly #drives: OutgoingDrives;
  readonly #queue: BlockRead[] = [];
  readonly #spare: Buffer[] = [];

  constructor(drives: OutgoingDrives) {
    this.#drives = drives;
  }

  /** What was begun and not taken. */
  get pending(): readonly BlockRead[] {
    return this.#queue;
  }

  get full(): boolean {
    return this.#queue.length === MOST_READS;
  }

  /** Begins to read a chunk. Not while it is {@link full}. */
  begin(drive: number, chunk: number): void {
    const bytes = this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_SIZE);
    const done = this.#drives.read(drive, chunk, bytes);
    const read = { drive, chunk, bytes, done, isOver: false };
    const over = (): void => {
      read.isOver = true;
    };
    // What it fails with is thrown where the chunk is taken, if it comes to that.
    done.then(over, over);
    this.#queue.push(read);
  }

  /** Whether {@link take} has a chunk and waits for nothing. */
  get isReady(): boolean {
    return this.#queue[0]?.isOver === true;
  }

  /**
   * Resolves when that is so, or nothing was begun. Never rejects.
   * @param patience milliseconds after which it resolves in any case. Default: it does not.
   */
  async ready(patience?: number): Promise<void> {
    const read = this.#queue[0];
    if (read === undefined || read.isOver) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    read.done.then(resolve, resolve);
    const timer = patience === undefined ? undefined : setTimeout(resolve, patience);
    await promise;
    clearTimeout(timer);
  }

  /**
   * The chunk that was begun first, when it has been read; undefined when nothing was begun. To be given back by
   * {@link giveBack} when it is sent. Errors: those of reading.
   */
  async take(): Promise<BlockRead | undefined> {
    const read = this.#queue[0];
    await read?.done;
    this.#queue.shift();
    return read;
  }

  /** Its buffer is used again. */
  giveBack({ bytes }: BlockRead): void {
    this.#spare.push(bytes);
  }

  /** Resolves when nothing is being read any more and the drives are closed. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#queue.map(({ done }) => done));
    await this.#drives.close();
  }
}
