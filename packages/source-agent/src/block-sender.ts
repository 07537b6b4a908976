import {
  BLOCK_SECTION,
  ByteWriter,
  encodeBlockChunkHead,
  encodeBlockEnd,
  encodeBlockProgress,
  encodeZeroBlockChunk,
} from "@peregrine/protocol";
import { CHUNK_SIZE, DirtyBitmap } from "@peregrine/shared-state";
import type { MigrationStatistics, OutgoingDrives } from "@peregrine/shared-state";
import { BlockReads } from "./block-reads.ts";
import type { BlockRead } from "./block-reads.ts";
import type { LiveSection } from "./live-section.ts";
import type { OutgoingStream } from "./outgoing-stream.ts";
import type { SectionWriter } from "./section-writer.ts";

/** Longest time that one PART section takes when the rate limit allows a chunk in it, milliseconds. */
const MAX_ITERATE_MS = 50;

/** How long a chunk is waited for in a PART. A drive that keeps up takes less. Milliseconds. */
const READ_PATIENCE_MS = 20;

const ZERO_CHUNK = Buffer.alloc(CHUNK_SIZE);

export interface BlockSenderOptions {
  readonly drives: OutgoingDrives;
  /** Only what the drives' own files hold; the rest is in backing files, which the destination has. */
  readonly incremental: boolean;
  /** A chunk of zeros is sent as such, and not its bytes. */
  readonly zeroBlocks: boolean;
  readonly stream: OutgoingStream;
  readonly writer: SectionWriter;
  readonly statistics: MigrationStatistics;
  /** Throws when the migration was given up. */
  readonly check: () => void;
  /** Waits for the milliseconds given, or until something has changed. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Milliseconds. */
  readonly now: () => number;
}

/**
 * Sends the contents of drives: first every chunk, then those that the guest has written to since.
 *
 * No write of the guest is lost, for the same reason as in guest memory: a chunk's bit is cleared before the chunk
 * is read, and the guest's own mark is taken before that. A chunk that was read ahead and is written to before it is
 * sent goes out twice, the newer one last.
 */
export class BlockSender implements LiveSection {
  readonly #options: BlockSenderOptions;
  readonly #reads: BlockReads;
  readonly #dirty: readonly DirtyBitmap[];
  readonly #encoded = new ByteWriter();
  /** Chunks of the first pass. */
  readonly #bulkChunks: number;
  #sentChunks = 0;
  #percent = 0;
  #sectionId = 0;
  #drive = 0;
  #chunk = 0;

  constructor(options: BlockSenderOptions) {
    const { drives, statistics } = options;
    this.#options = options;
    this.#reads = new BlockReads(drives);
    this.#dirty = drives.drives.map(({ length }) => new DirtyBitmap(Math.ceil(length / CHUNK_SIZE)));
    this.#markFirstPass();
    this.#bulkChunks = this.#dirty.reduce((sum, bitmap) => sum + bitmap.count, 0);
    statistics.diskTotal = this.#remaining;
    statistics.diskRemaining = this.#remaining;
  }

  async start(): Promise<void> {
    this.#sectionId = await this.#options.writer.openSection({ kind: "start", ...BLOCK_SECTION });
    await this.#endSection();
  }

  pending(maxSize: number): number {
    if (this.#remaining <= maxSize) this.#options.drives.harvest(this.#dirty);
    const remaining = this.#remaining;
    this.#options.statistics.diskRemaining = remaining;
    return remaining;
  }

  async iterate(): Promise<boolean> {
    const { stream, now } = this.#options;
    await this.#nextRead();
    const until = now() + MAX_ITERATE_MS;
    await this.#sendPart(() => !stream.limitReached && now() < until);
    return this.#remaining === 0;
  }

  /** What is left goes out in PARTs, too, and END has nothing of it. */
  async complete(): Promise<void> {
    const { drives, writer } = this.#options;
    drives.harvest(this.#dirty);
    while (await this.#nextRead()) await this.#sendPart(() => true);
    await writer.continueSection("end", this.#sectionId);
    encodeBlockProgress(this.#encoded, 100);
    await this.#endSection();
  }

  /** Resolves when nothing of the drives is open here. */
  close(): Promise<void> {
    return this.#reads.close();
  }

  /** Bytes of the drives that are dirty or were read and are not sent yet. */
  get #remaining(): number {
    let bytes = 0;
    for (const { drive, chunk } of this.#reads.pending) bytes += this.#lengthOf(drive, chunk);
    for (const [drive, bitmap] of this.#dirty.entries()) {
      if (bitmap.count === 0) continue;
      const last = bitmap.pages - 1;
      const missing = bitmap.test(last) ? CHUNK_SIZE - this.#lengthOf(drive, last) : 0;
      bytes += bitmap.count * CHUNK_SIZE - missing;
    }
    return bytes;
  }

  #markFirstPass(): void {
    const { drives, incremental } = this.#options;
    for (const [drive, bitmap] of this.#dirty.entries()) {
      for (let chunk = 0; chunk < bitmap.pages; chunk++) {
        if (!incremental || drives.holds(drive, chunk)) bitmap.set(chunk);
      }
    }
  }

  /** Bytes of the chunk that are in front of the drive's end. */
  #lengthOf(drive: number, chunk: number): number {
    return Math.min(this.#options.drives.drives[drive]!.length - chunk * CHUNK_SIZE, CHUNK_SIZE);
  }

  /**
   * Waits until the next chunk is read. A drive may take long for that, so no section is open and nothing waits to go out
   * then: the source can say that it lives. @returns whether there is one.
   */
  async #nextRead(): Promise<boolean> {
    this.#readAhead();
    if (this.#reads.pending.length === 0) return false;
    await this.#reads.ready(READ_PATIENCE_MS);
    if (this.#reads.isReady) return true;
    await this.#options.stream.flush();
    await this.#reads.ready();
    return true;
  }

  /** A PART with the chunks that are read without a long wait. */
  async #sendPart(goesOn: () => boolean): Promise<void> {
    await this.#options.writer.continueSection("part", this.#sectionId);
    while (goesOn() && (await this.#sendNext()));
    await this.#endSection();
  }

  /** Sends the chunk that was read first, while others are being read. @returns whether there was one, and soon. */
  async #sendNext(): Promise<boolean> {
    await this.#reads.ready(READ_PATIENCE_MS);
    const read = this.#reads.isReady ? await this.#reads.take() : undefined;
    if (read === undefined) return false;
    await this.#send(read);
    this.#reads.giveBack(read);
    this.#readAhead();
    return true;
  }

  #readAhead(): void {
    while (!this.#reads.full && this.#takeDirty()) this.#reads.begin(this.#drive, this.#chunk++);
  }

  /**
   * Takes the next dirty chunk out of the bitmap, from where the last one was; `#drive` and `#chunk` say which.
   * @returns false when no chunk is dirty.
   */
  #takeDirty(): boolean {
    // One turn more than there are drives: the walk may have begun behind the only dirty chunks.
    for (let visited = 0; visited <= this.#dirty.length; visited++) {
      const bitmap = this.#dirty[this.#drive]!;
      if (bitmap.takeRun(this.#chunk, 1) > 0) {
        this.#chunk = bitmap.runStart;
        return true;
      }
      this.#drive = (this.#drive + 1) % this.#dirty.length;
      this.#chunk = 0;
    }
    return false;
  }

  async #send({ drive, chunk, bytes }: BlockRead): Promise<void> {
    const { drives, zeroBlocks, stream, statistics } = this.#options;
    const { id } = drives.drives[drive]!;
    if (zeroBlocks && bytes.equals(ZERO_CHUNK)) {
      encodeZeroBlockChunk(this.#encoded, id, chunk * CHUNK_SIZE);
    } else {
      encodeBlockChunkHead(this.#encoded, id, chunk * CHUNK_SIZE);
      await this.#appendEncoded();
      await this.#appendAtLimit(bytes);
    }
    statistics.diskTransferred += this.#lengthOf(drive, chunk);
    statistics.diskRemaining = this.#remaining;
    this.#countForProgress();
    await this.#appendEncoded();
    if (stream.full) await stream.send();
  }

  /** Says how much of the first pass is sent whenever that has changed by a percent. */
  #countForProgress(): void {
    if (this.#sentChunks === this.#bulkChunks) return;
    this.#sentChunks++;
    const percent = Math.floor((100 * this.#sentChunks) / this.#bulkChunks);
    if (percent === this.#percent) return;
    this.#percent = percent;
    encodeBlockProgress(this.#encoded, percent);
  }

  /** A chunk is more than a slow limit allows at once, so it goes out in pieces with pauses between them. */
  async #appendAtLimit(bytes: Uint8Array): Promise<void> {
    const { stream, check, sleep } = this.#options;
    for (let at = 0; at < bytes.length;) {
      while (stream.limitReached) {
        await stream.flush();
        await sleep(stream.waitTime);
        check();
        stream.resetPeriod();
      }
      const piece = bytes.subarray(at, at + stream.chunkBytes);
      await stream.append(piece);
      at += piece.length;
    }
  }

  async #endSection(): Promise<void> {
    encodeBlockEnd(this.#encoded);
    await this.#appendEncoded();
    await this.#options.writer.closeSection(this.#sectionId);
  }

  async #appendEncoded(): Promise<void> {
    await this.#options.stream.append(this.#encoded.view());
    this.#encoded.reset();
  }
}
