import {
  HEAD_BYTES,
  MAX_KERNEL_RUN,
  MAX_RAM_RECORD_BYTES,
  MAX_ZERO_RUN,
  openPageKernel,
  PLACE_BYTES,
  putPlace,
  workMemoryBytes,
  ZERO_RECORD_BYTES,
} from "@peregrine/protocol";
import type { PageAddresses, PageKernel, PlaceCursor } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { MigrationParameters, MigrationStatistics } from "@peregrine/shared-state";
import { GatherList, RateLimiter } from "@peregrine/transport";
import type { Channel, Gathering } from "@peregrine/transport";
import { Pacer } from "./pacer.ts";

/** Pages that are made records between two looks at the clock. */
export const RUN_PAGES = MAX_KERNEL_RUN;
/** Pages that are read from the guest into the work memory at once. */
export const COPY_PAGES = 64;

/** A write may be this part of a second's bytes: it is what a limit can be exceeded by. */
const CHUNKS_PER_SECOND = 100;
const RECORD_BYTES = 8 + PAGE_SIZE;
/**
 * Bytes that are written at once when there is no limit: the records of a run. With less, the turns of the event loop cost more
 * than the processor's cache saves.
 */
const MAX_CHUNK = RUN_PAGES * RECORD_BYTES;
/** Pages of a word of a bitmap. */
const WORD_PAGES = 32;
/** Bytes by which a delta can make a record longer than a page does. */
const DELTA_HEAD_BYTES = 3;
/** A run ends in the record with which the buffer is full, if it is one of pages. */
const CAPACITY = MAX_CHUNK + RUN_PAGES * DELTA_HEAD_BYTES + MAX_RAM_RECORD_BYTES;
const MIN_CHUNK = RECORD_BYTES;
/** Places that the bytes of one write lie in at most: the buffer's and a page's in turn. */
const VECTOR_BYTES = (2 * RUN_PAGES + 1) * PLACE_BYTES;
/** What is behind a page's head. */
const REST_BYTES = PAGE_SIZE - HEAD_BYTES;

/** What a page sender may take of the work memory: a run of pages, and a page. */
const PAGE_SENDER_PARTS = [COPY_PAGES * PAGE_SIZE, PAGE_SIZE];

/** One of the two buffers. */
interface Chunk {
  readonly bytes: Buffer;
  /** Where in the work memory it begins. */
  readonly place: number;
  /** The places that its bytes and those of pages lie in, when there are such. */
  readonly places: PlaceCursor;
  readonly vectorAt: number;
  readonly list: GatherList;
}

/**
 * The outgoing bytes in two buffers: one is filled while the other is being written. Nothing else is held,
 * however slow the destination is. The buffers lie in the work memory of a kernel, which writes records into them. Pages need not
 * be in them where the channel gathers what it writes: they are read from where they are then.
 */
export class OutgoingStream {
  readonly #channel: Channel;
  readonly #limiter: RateLimiter;
  readonly #pacer: Pacer;
  readonly #parameters: MigrationParameters;
  readonly #statistics: MigrationStatistics;
  /** Has room for what a page sender needs besides. */
  readonly kernel = openPageKernel(
    workMemoryBytes([CAPACITY, VECTOR_BYTES, CAPACITY, VECTOR_BYTES, ...PAGE_SENDER_PARTS]),
  );
  readonly #words = new Uint32Array(this.kernel.bytes.buffer);
  readonly #gathering: Gathering | undefined;
  #filling: Chunk;
  #spare: Chunk;
  #length = 0;
  /** Bytes of pages that go out with those of the buffer. */
  #restBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #limited = true;

  /**
   * @param now a monotonic clock in milliseconds.
   * @param gathering of the channel, if it has that.
   */
  constructor(
    channel: Channel,
    parameters: MigrationParameters,
    statistics: MigrationStatistics,
    now: () => number,
    gathering?: Gathering,
  ) {
    this.#channel = channel;
    this.#gathering = gathering;
    this.#filling = takeChunk(this.kernel);
    this.#spare = takeChunk(this.kernel);
    this.#limiter = new RateLimiter(now);
    this.#pacer = new Pacer(now);
    this.#parameters = parameters;
    this.#statistics = statistics;
    this.#applyLimit();
  }

  /** The buffer being filled, from index {@link length} on, with room for the records of {@link pagesUntilFull} pages. */
  get buffer(): Buffer {
    return this.#filling.bytes;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes that wait to be sent: those in the buffer, and those of pages that are not in it. */
  get waitingBytes(): number {
    return this.#length + this.#restBytes;
  }

  /** Where in the kernel's work memory {@link buffer} begins. */
  get place(): number {
    return this.#filling.place;
  }

  /** Where what is sent from two memories is put together. For records behind which pages are to be read where they are. */
  get places(): PlaceCursor {
    return this.#filling.places;
  }

  /** Counts what was put into {@link buffer} up to index `end`. */
  advance(end: number): void {
    this.#length = end;
  }

  /** Counts what was put into {@link buffer} up to index `end`, with the heads of so many pages that {@link places} has. */
  advanceHeads(end: number, pages: number): void {
    this.#length = end;
    this.#restBytes += pages * REST_BYTES;
  }

  /**
   * What a kernel needs to know of a guest's memory for {@link places}. Undefined when the channel does not take bytes from
   * several places: then everything has to be in the buffer.
   */
  addressesOf(guest: Uint8Array): PageAddresses | undefined {
    if (this.#gathering === undefined) return undefined;
    return { work: this.#gathering.addressOf(this.kernel.bytes), guest: this.#gathering.addressOf(guest) };
  }

  /** Whether there is a limit at present. */
  get isLimited(): boolean {
    return this.#limiter.limit > 0;
  }

  /** Bytes that one write may have under the present limit. */
  get chunkBytes(): number {
    const { limit } = this.#limiter;
    if (limit === 0) return MAX_CHUNK;
    return Math.min(Math.max(Math.floor(limit / CHUNKS_PER_SECOND), MIN_CHUNK), MAX_CHUNK);
  }

  /** Enough is in the buffer: {@link send} it before anything is added. */
  get full(): boolean {
    return this.waitingBytes >= this.chunkBytes;
  }

  /** Whole pages that the buffer takes until it is full; at least 1, at most {@link RUN_PAGES}. */
  get pagesUntilFull(): number {
    const pages = Math.ceil((this.chunkBytes - this.waitingBytes) / RECORD_BYTES);
    // Runs that end with a word of the bitmaps are taken from them by the word.
    const whole = pages - (pages % WORD_PAGES);
    return Math.min(whole || Math.max(pages, 1), RUN_PAGES);
  }

  /** Pages of zeros that the buffer takes until it is full; 0 when it is, at most {@link MAX_ZERO_RUN}. */
  get zerosUntilFull(): number {
    const pages = Math.floor((this.chunkBytes - this.waitingBytes) / ZERO_RECORD_BYTES);
    return Math.min(Math.max(pages, 0), MAX_ZERO_RUN);
  }

  /** Whether the sender has to stop for now. */
  get limitReached(): boolean {
    this.#applyLimit();
    return this.#limiter.exceeded || this.#pacer.waitTime > 0;
  }

  /** Milliseconds until asking again is of use. */
  get waitTime(): number {
    return Math.max(this.#limiter.waitTime, this.#pacer.waitTime);
  }

  /** Begins a new period of the limit, if the old one is over. */
  resetPeriod(): void {
    this.#limiter.resetPeriod();
  }

  /** No limit from now on. */
  liftLimit(): void {
    this.#limited = false;
    this.#applyLimit();
  }

  /** Adds bytes of any length, sending what no longer fits. Errors: as {@link send}. */
  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (this.full) await this.send();
      const piece = bytes.subarray(at, at + this.chunkBytes - this.waitingBytes);
      this.buffer.set(piece, this.#length);
      this.#length += piece.length;
      at += piece.length;
    }
  }

  /**
   * Begins to write what is in the buffer and resolves when the other buffer is free, which may be at once.
   * Errors: CHANNEL_FAILED, or why the channel was destroyed; also for the write before.
   */
  async send(): Promise<void> {
    await this.#writing;
    if (this.#length === 0) return;
    const full = this.#filling;
    const bytes = this.waitingBytes;
    this.#filling = this.#spare;
    this.#spare = full;
    this.#writing = this.#write(full, this.#length, this.#restBytes);
    this.#length = 0;
    this.#restBytes = 0;
    this.count(bytes);
  }

  #write(chunk: Chunk, length: number, restBytes: number): Promise<void> {
    const { bytes, place, places, vectorAt, list } = chunk;
    if (this.#gathering === undefined || restBytes === 0)
      return this.#channel.write(bytes.subarray(0, length));
    let count = (places.at - vectorAt) / PLACE_BYTES;
    const behind = place + length - places.from;
    if (behind > 0) {
      const from = this.#gathering.addressOf(bytes) + places.from - place;
      putPlace(this.#words, places.at / PLACE_BYTES, from, behind);
      count++;
    }
    list.set(count, length + restBytes);
    places.at = vectorAt;
    places.from = place;
    return this.#gathering.write(list);
  }

  /**
   * Counts bytes that go out, against the limit and in the statistics: also those that a page sender writes
   * to other connections, or to places of its own in a file.
   */
  count(bytes: number): void {
    this.#applyLimit();
    this.#limiter.put(bytes);
    this.#pacer.put(bytes);
    const statistics = this.#statistics;
    statistics.transferred += bytes;
    statistics.passBytes += bytes;
    if (statistics.stopTime === 0) statistics.precopyBytes += bytes;
    else statistics.downtimeBytes += bytes;
  }

  /** Sends everything and resolves when the kernel has it. Errors: as {@link send}. */
  async flush(): Promise<void> {
    await this.send();
    await this.#writing;
  }

  /** A changed parameter takes effect with the next chunk. */
  #applyLimit(): void {
    const limit = this.#limited ? this.#parameters.maxBandwidth : 0;
    this.#limiter.setLimit(limit);
    this.#pacer.setLimit(limit);
  }
}

function takeChunk(kernel: PageKernel): Chunk {
  const { buffer, byteOffset } = kernel.bytes;
  const place = kernel.take(CAPACITY);
  const vectorAt = kernel.take(VECTOR_BYTES);
  return {
    bytes: Buffer.from(buffer, byteOffset + place, CAPACITY),
    place,
    places: { at: vectorAt, from: place },
    vectorAt,
    list: new GatherList(kernel.bytes.subarray(vectorAt, vectorAt + VECTOR_BYTES)),
  };
}
