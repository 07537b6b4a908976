import { RAM_FLAG } from "../wire.ts";

/**
 * What is done to every page on its way: the test for zeros, records, deltas. It is done in one memory, the *work memory*: pages
 * are read into it, and records are written in it to where the channel takes them from. All places here are
 * indexes into {@link PageKernel.bytes}.
 *
 * There are two of each, with the same results: WebAssembly with vectors, and plain TypeScript for engines that
 * do not have what the former needs. `openPageKernel` chooses.
 *
 * Errors of all methods: INTERNAL when a place is not in the work memory.
 */
export interface PageKernel extends PageSource {
  readonly implementation: "wasm" | "typescript";
  /** The work memory. It never grows, so that views of it stay valid. */
  readonly bytes: Uint8Array;
  /**
   * Sets a part of the work memory aside, for as long as it lives.
   * @returns where it begins, a multiple of 64. Errors: INTERNAL when there is not so much left.
   */
  take(length: number): number;

  /** Sets the name for the first record of a block. @param name at most 255 bytes of UTF-8. */
  setBlockName(name: Uint8Array): void;
  /** Of pages in the work memory. `out` is not into them. */
  encodeRun(page: number, count: number, offset: number, named: boolean, out: number): number;
  /** How many of the pages of the last call that made records, or of the last {@link zeroPages}, have only zeros. */
  readonly zeroCount: number;
  /**
   * Looks which of at most {@link MAX_KERNEL_RUN} pages from `page` on have only zeros.
   * @returns how many. {@link isZero} tells which.
   */
  zeroPages(page: number, count: number): number;
  /** Whether page `n` of the last `encodeRun` or {@link zeroPages} has only zeros. */
  isZero(n: number): boolean;

  /**
   * Moves the pages of a run in the work memory that do not have only zeros down, so that they follow each other from `page` on.
   * `zeroCount` and `isZero` tell of the others.
   * @param count at most {@link MAX_KERNEL_RUN}.
   * @param offset of the first page in its block.
   * @param words where the offsets of those pages are written, {@link WORD_BYTES} each, one behind the other.
   * @returns how many they are.
   */
  packPages(page: number, count: number, offset: number, words: number): number;
  /**
   * Counts the words from `words` on that are the offset `offset` and those of the pages that follow it.
   * @param count of the words that are there.
   */
  countOffsets(words: number, count: number, offset: number): number;

  /**
   * Counts the whole records from `at` on that continue a block with the page at `offset` and those that follow it, and
   * are all pages or all pages of zeros. The first that is anything else ends the run, so a run of no records is
   * not an error but a case for `RamDecoder`. A record of a page has 4104 bytes, one of a page of zeros has 9.
   * @param end behind the last byte that came.
   * @param most records to be counted.
   */
  countRun(at: number, end: number, offset: number, most: number): number;
  /**
   * Counts the words from `words` on, one behind the other, with which records begin that continue a block with the page at
   * `offset` and those that follow it.
   * @param count of the words that are there.
   */
  countWords(words: number, count: number, offset: number): number;
  /**
   * Moves the pages of a run that was counted, of pages: they follow each other from `at + 8` on. The rest of the run's bytes
   * means nothing afterwards.
   * @returns them, in the work memory.
   */
  gatherRun(at: number, count: number): Uint8Array;

  /**
   * Opens a guest's memory for records to be made of its pages and pages of records to be written there, without a copy
   * between. Both memories are shared ones. The guest's may grow.
   * @param addresses for {@link GuestPages.encodeHeads} and {@link GuestPages.expectRun}, which cannot be called without them.
   */
  openGuest(memory: WebAssembly.Memory, heads: PageHeads, addresses?: PageAddresses): GuestPages;

  /**
   * Applies a delta of `length` bytes to a page in place.
   * @returns false when the delta breaks its format or goes beyond the page, which may then be changed in part.
   */
  applyDelta(delta: number, length: number, page: number): boolean;
  /** Whether {@link applyDelta} would take the delta. */
  checkDelta(delta: number, length: number): boolean;
  /** Opens a store for pages that deltas are made from. Their memory is taken as they are kept. */
  openKeptPages(count: number): KeptPages;
}

/** What records are made of: pages in the work memory, or in a guest's. */
export interface PageSource {
  /**
   * Writes the records of pages that follow each other in a RAM block, those with only zeros as such.
   * @param page where the first is, a multiple of 8; the others follow it.
   * @param count at most {@link MAX_KERNEL_RUN}.
   * @param offset of the first page in its block: a multiple of the page size below 2^53.
   * @param named whether the first record names the block; otherwise it continues the record before it.
   * @param out where to write in the work memory: at most `runBytes`.
   * @returns the place behind the last record. `zeroCount` and `isZero` of the kernel tell of these pages then.
   */
  encodeRun(page: number, count: number, offset: number, named: boolean, out: number): number;
}

/**
 * Where the first {@link HEAD_BYTES} bytes of each page are kept as they were read last, those of page `n` from
 * `at + n * HEAD_BYTES` on. There has to be room for all pages that the guest's memory can have.
 */
export interface PageHeads {
  readonly memory: WebAssembly.Memory;
  readonly at: number;
}

/** See {@link PageHeads}. */
export const HEAD_BYTES = 16;

/** Where the work memory and the guest's begin, as the kernel of the host knows it. Neither moves. */
export interface PageAddresses {
  readonly work: number;
  readonly guest: number;
}

/** How far a vector of `writev` has come that is written in the work memory. */
export interface PlaceCursor {
  /** Where its next entry goes, a multiple of 16. */
  at: number;
  /** The first byte of the work memory that is to go out and is in no entry yet. */
  from: number;
}

/** Bytes of the word that a record begins with: the page's offset and flags. */
export const WORD_BYTES = 8;

/** Of an entry: an address and a length, 64 bits each, little-endian. */
export const PLACE_BYTES = 16;

/**
 * Writes an entry.
 * @param vector as a little-endian machine sees it.
 * @param index of the entry. @param length less than 2^32.
 */
export function putPlace(vector: Uint32Array, index: number, address: number, length: number): void {
  const at = (index * PLACE_BYTES) / Uint32Array.BYTES_PER_ELEMENT;
  vector[at] = address;
  vector[at + 1] = address / 2 ** 32;
  vector[at + 2] = length;
  vector[at + 3] = 0;
}

/** The memory of a guest. Pages are named by where they begin in it. */
export interface GuestPages extends PageSource {
  /**
   * As `encodeRun`, but records of pages end behind the page's first {@link HEAD_BYTES} bytes, which are those that are kept.
   * What of the page follows may be read later, for as long as every store to it makes a mark of its own: each record of a
   * page adds two places to a vector of `writev`, what of the work memory comes before and that rest.
   * @param places moved on behind what was added; there has to be room for two of each page. `from` is not behind `out`.
   */
  encodeHeads(
    page: number,
    count: number,
    offset: number,
    named: boolean,
    out: number,
    places: PlaceCursor,
  ): number;
  /**
   * As {@link PageKernel.packPages}, but the pages stay where they are, and what follows their first {@link HEAD_BYTES} bytes
   * may be read as late as with {@link encodeHeads}.
   * @param words as there. @param heads where those bytes are put, one behind the other.
   * @param vector where the entries of a vector of `writev` are put, two for each page: its head, and the rest of it.
   * @returns how many pages these are.
   */
  gatherPages(
    page: number,
    count: number,
    offset: number,
    words: number,
    heads: number,
    vector: number,
  ): number;
  /**
   * Writes the records of the pages that have only zeros, up to the first one that has not. `zeroCount` of the kernel tells
   * how many they are.
   * @param count at most {@link MAX_ZERO_RUN}. The others are as those of `encodeRun`.
   * @returns the place behind the last record.
   */
  encodeZeros(page: number, count: number, offset: number, named: boolean, out: number): number;
  /**
   * Makes a vector of `readv` for the records of pages that are expected to follow: {@link PageKernel.countWords} tells
   * afterwards how many of those that came are.
   * @param page where the first of the pages is to go; the others follow it.
   * @param count at most {@link MAX_KERNEL_RUN}.
   * @param words where in the work memory the first {@link WORD_BYTES} bytes of each record are to go, one behind the other.
   * @param vector where in the work memory its entries are put, two for each record.
   */
  expectRun(page: number, count: number, words: number, vector: number): void;
  /** Writes the pages of a run that was counted, of pages, to `page` and behind it. The run stays as it is. */
  storeRun(at: number, count: number, page: number): void;
}

/** Copies of pages outside of the work memory, by number. Places are such of the work memory. */
export interface KeptPages {
  /** Keeps a copy of the page at `page`. */
  keep(n: number, page: number): void;
  keepZeros(n: number): void;
  /** Keeps a copy of a page of another store. */
  keepOther(n: number, from: KeptPages, other: number): void;
  /** The kept page; valid until the next call. Errors: INTERNAL when none was kept under this number. */
  bytes(n: number): Uint8Array;
  /**
   * Writes the delta that turns kept page `n` into the one at `page`, as `encodeDelta` does.
   * @param page must not change during the call, nor lie in what is written.
   * @param out where to write, at most `room` bytes.
   * @param replace whether the new page is kept instead, whatever is returned.
   * @returns the delta's length, DELTA_UNCHANGED or DELTA_OVERFLOW.
   */
  encodeDelta(n: number, page: number, out: number, room: number, replace: boolean): number;
}

const CONTINUED_PAGE = RAM_FLAG.page | RAM_FLAG.continue;
const CONTINUED_ZERO = RAM_FLAG.zero | RAM_FLAG.continue;

/** Pages that are made records at once at most: a bit for each tells which are zero. */
export const MAX_KERNEL_RUN = 512;

/** Pages of zeros that are made records at once at most: nothing else is known of them, and their records are short. */
export const MAX_ZERO_RUN = 4096;

/** Whether the record at `at`, which a run can begin with, is a page of zeros. */
export function isZeroRecord(bytes: Uint8Array, at: number): boolean {
  return (bytes[at + 7]! & RAM_FLAG.zero) !== 0;
}

/**
 * The offset of the page of the record at `at`, if a run can begin with it: it continues a block, with a page or a page of
 * zeros. -1 when not; needs the 8 bytes of the word.
 */
export function runOffset(bytes: Uint8Array, at: number): number {
  const flags = ((bytes[at + 6]! & 0x0f) << 8) | bytes[at + 7]!;
  if (flags !== CONTINUED_PAGE && flags !== CONTINUED_ZERO) return -1;
  const high = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
  const low = ((bytes[at + 4]! << 24) | (bytes[at + 5]! << 16) | ((bytes[at + 6]! & 0xf0) << 8)) >>> 0;
  return high < 2 ** 21 ? high * 2 ** 32 + low : -1;
}
