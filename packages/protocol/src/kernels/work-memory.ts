import { MigrationError } from "../errors.ts";
import { WIRE_PAGE_SIZE } from "../wire.ts";
import { HEAD_BYTES, MAX_KERNEL_RUN, MAX_ZERO_RUN, PLACE_BYTES, WORD_BYTES } from "./page-kernel.ts";
import type { PlaceCursor } from "./page-kernel.ts";

/** Where in the work memory the kernels look for what has a fixed place. The sources in WAT say the same. */
export const WORK_PLACES = { result: 0, blockName: 16, zeroBits: 320, free: 384 } as const;

/** What {@link WorkMemory.take} rounds up to, so that no two parts share a line of the processor's cache. */
export const TAKE_ALIGNMENT = 64;

/** Of a record that continues a block. */
export const PAGE_RECORD_BYTES = WORD_BYTES + WIRE_PAGE_SIZE;
/** Of such a record of a page of zeros. */
export const ZERO_RECORD_BYTES = WORD_BYTES + 1;

/** Of the counted name of a block in a record. */
const MOST_NAME_BYTES = 1 + 255;

/** Bytes that the records of a run take at most. */
export function runBytes(count: number): number {
  return count * PAGE_RECORD_BYTES + MOST_NAME_BYTES;
}

/** Bytes that a work memory needs for parts of these lengths. */
export function workMemoryBytes(parts: readonly number[]): number {
  return parts.reduce((sum, length) => sum + aligned(length), WORK_PLACES.free);
}

/** The bytes that a kernel works in: hands out parts of them, and checks what it is asked to do there. */
export class WorkMemory {
  readonly bytes: Uint8Array;
  /** The kernel's results: two numbers. */
  readonly result: Uint32Array;
  /** A bit for each page of a run, the low ones first: whether it has only zeros. */
  readonly zeroBits: Uint32Array;
  #taken: number = WORK_PLACES.free;

  constructor(buffer: ArrayBufferLike) {
    this.bytes = new Uint8Array(buffer);
    this.result = new Uint32Array(buffer, WORK_PLACES.result, 2);
    this.zeroBits = new Uint32Array(buffer, WORK_PLACES.zeroBits, MAX_KERNEL_RUN / 32);
  }

  take(length: number): number {
    const at = this.#taken;
    if (at + length > this.bytes.length) {
      throw new MigrationError(
        "INTERNAL",
        `the work memory has no ${length} bytes left: ${at} of ${this.bytes.length} are taken`,
      );
    }
    this.#taken = at + aligned(length);
    return at;
  }

  setBlockName(name: Uint8Array): void {
    if (name.length > 255) {
      throw new MigrationError(
        "INTERNAL",
        `a block name of ${name.length} bytes is longer than the 255 that fit`,
      );
    }
    this.bytes[WORK_PLACES.blockName] = name.length;
    this.bytes.set(name, WORK_PLACES.blockName + 1);
  }

  /** Bytes that the name of the block takes in a record. */
  get countedNameBytes(): number {
    return 1 + this.bytes[WORK_PLACES.blockName]!;
  }

  require(at: number, length: number): void {
    if (at >= WORK_PLACES.free && length >= 0 && at + length <= this.bytes.length) return;
    throw new MigrationError("INTERNAL", `bytes ${at} to ${at + length} are not in the work memory`);
  }

  requirePages(page: number, count: number): void {
    this.require(page, count * WIRE_PAGE_SIZE);
    requirePlace(page, count);
  }

  /** @param count of records of pages. */
  requireRecords(at: number, count: number): void {
    this.require(at, count * PAGE_RECORD_BYTES);
  }

  /** The pages of a run of records that were moved to follow each other. */
  gathered(at: number, count: number): Uint8Array {
    const from = at + WORD_BYTES;
    return this.bytes.subarray(from, from + count * WIRE_PAGE_SIZE);
  }

  /** The run's records have to be exact, and fit where they are written. */
  requireOutput(offset: number, count: number, out: number): void {
    this.requireRun(offset, count);
    this.require(out, runBytes(count));
  }

  /** As {@link requireOutput}, for records of pages of zeros. */
  requireZeros(offset: number, count: number, out: number): void {
    this.requireRun(offset, count);
    this.require(out, count * ZERO_RECORD_BYTES + MOST_NAME_BYTES);
  }

  /** Two entries for each page have to fit where the vector is, and what is in none yet has to come before the records. */
  requirePlaces({ at, from }: PlaceCursor, count: number, out: number, hasAddresses: boolean): void {
    this.#requirePlacesAt(at, count, hasAddresses);
    this.require(from, out - from);
  }

  /** The offsets of a run of pages have to be exact, and fit where their words are to go. */
  requireWords(offset: number, count: number, words: number): void {
    this.requireRun(offset, count);
    this.require(words, count * WORD_BYTES);
  }

  /** A head and two entries for each page have to fit. */
  requireGathered(heads: number, vector: number, count: number, hasAddresses: boolean): void {
    this.#requirePlacesAt(vector, count, hasAddresses);
    this.require(heads, HEAD_BYTES * count);
  }

  /** As {@link requirePlaces}, and a word for each page has to fit where the words are to go. */
  requireExpected(words: number, vector: number, count: number, hasAddresses: boolean): void {
    this.#requirePlacesAt(vector, count, hasAddresses);
    this.require(words, WORD_BYTES * count);
  }

  #requirePlacesAt(at: number, count: number, hasAddresses: boolean): void {
    if (!hasAddresses) throw new MigrationError("INTERNAL", "the pages were opened without addresses");
    this.require(at, 2 * PLACE_BYTES * count);
  }

  /** All words of a run have to be exact as numbers. */
  requireRun(offset: number, count: number): void {
    const isPage = Number.isSafeInteger(offset) && offset >= 0 && offset % WIRE_PAGE_SIZE === 0;
    if (isPage && Number.isInteger(count) && count >= 0 && offset + count * WIRE_PAGE_SIZE <= 2 ** 53) return;
    throw new MigrationError("INTERNAL", `there is no run of ${count} pages at offset ${offset}`);
  }
}

/** Errors: INTERNAL when a kernel does not take so many pages at once, or does not find them at `page`. */
function requirePlace(page: number, count: number, most = MAX_KERNEL_RUN): void {
  if (count <= most && page % 8 === 0) return;
  throw new MigrationError("INTERNAL", `${count} pages at ${page} are no run for a kernel`);
}

/** Errors: INTERNAL when the pages are not in a guest's memory of so many bytes. */
export function requireGuestPages(memoryBytes: number, page: number, count: number): void {
  requirePlace(page, count);
  requireInGuest(memoryBytes, page, count);
}

/** As {@link requireGuestPages}, for pages of zeros. */
export function requireGuestZeros(memoryBytes: number, page: number, count: number): void {
  requirePlace(page, count, MAX_ZERO_RUN);
  requireInGuest(memoryBytes, page, count);
}

function requireInGuest(memoryBytes: number, page: number, count: number): void {
  if (page >= 0 && count >= 0 && page + count * WIRE_PAGE_SIZE <= memoryBytes) return;
  throw new MigrationError(
    "INTERNAL",
    `${count} pages at ${page} are not in a memory of ${memoryBytes} bytes`,
  );
}

function aligned(length: number): number {
  return Math.ceil(length / TAKE_ALIGNMENT) * TAKE_ALIGNMENT;
}
