import { MigrationError } from "./errors.ts";

/**
 * XBZRLE: a page as its difference from the page sent before. The delta is a list of runs, each an
 * unchanged and a changed part: `unchanged length, changed length, the new bytes`. Lengths are ULEB128
 * of at most two bytes. What follows the last run is unchanged.
 *
 * What is here is plain and for pages of any size. The kernels do the same for those of the wire, some times as fast.
 */

/** The byte in front of a delta's length that names the encoding. */
export const XBZRLE_ENCODING = 0x01;

/** What {@link encodeDelta} returns when the page is as it was: nothing is sent. */
export const DELTA_UNCHANGED = 0;

/** What {@link encodeDelta} returns when the delta is no smaller than the page: the page itself is sent. */
export const DELTA_OVERFLOW = -1;

/** The largest length that two bytes of ULEB128 hold. */
const MAX_RUN = 0x3fff;

/** A run takes at least two bytes, so fewer left are an overflow before it begins. */
const SMALLEST_RUN_HEAD = 2;

/** Bytes of a word. */
const WORD = 4;

/** A page's bytes, also as words: most of a page is as it was, and that is found four bytes at a time. */
export class DeltaPage {
  readonly bytes: Uint8Array;
  /** Of the bytes, in the order of this host. As many as there are, none if the bytes do not begin at a word. */
  readonly words: Int32Array;

  /** @param bytes are not copied. */
  constructor(bytes: Uint8Array) {
    const { buffer, byteOffset, length } = bytes;
    this.bytes = bytes;
    this.words =
      byteOffset % WORD === 0
        ? new Int32Array(buffer, byteOffset, Math.floor(length / WORD))
        : new Int32Array(0);
  }
}

/**
 * Writes the delta that turns `old` into `page` to the start of `target`.
 *
 * @param old the page as the receiver has it.
 * @param page the same number of bytes. It must not change during the call: encode a copy of a page
 *   that a running guest writes to.
 * @param target its length is the most that the delta may take: one page.
 * @returns the delta's length in bytes, {@link DELTA_UNCHANGED} or {@link DELTA_OVERFLOW}. After an
 *   overflow the contents of `target` mean nothing.
 */
export function encodeDelta(old: DeltaPage, page: DeltaPage, target: Uint8Array): number {
  const { bytes } = page;
  const size = bytes.length;
  if (old.bytes.length !== size || size > MAX_RUN) {
    throw new MigrationError(
      "INTERNAL",
      `there is no delta between pages of ${old.bytes.length} and ${size} bytes`,
    );
  }
  let at = 0;
  let length = 0;
  while (at < size) {
    const unchangedFrom = at;
    const changedFrom = firstDifference(old, page, at);
    if (changedFrom === size && unchangedFrom === 0) return DELTA_UNCHANGED;
    if (length + SMALLEST_RUN_HEAD > target.length) return DELTA_OVERFLOW;
    if (changedFrom === size) return length;
    length = putRunLength(target, length, changedFrom - unchangedFrom);

    if (length + SMALLEST_RUN_HEAD > target.length) return DELTA_OVERFLOW;
    at = firstEqual(old.bytes, bytes, changedFrom);
    length = putRunLength(target, length, at - changedFrom);
    if (length + (at - changedFrom) > target.length) return DELTA_OVERFLOW;
    for (let from = changedFrom; from < at; from++) target[length++] = bytes[from] ?? 0;
  }
  return length;
}

/**
 * Turns the page that a delta was made from into the one it stands for, in place.
 * @returns false when the delta breaks its own format or goes beyond the page, which may then be changed in part.
 */
export function applyDelta(delta: Uint8Array, page: Uint8Array): boolean {
  return walkDelta(delta, page.length, page);
}

/** Whether {@link applyDelta} would take the delta for a page of `pageSize` bytes. */
export function checkDelta(delta: Uint8Array, pageSize: number): boolean {
  return walkDelta(delta, pageSize, undefined);
}

/** Writes every changed part to `page`, if there is one. @returns false when the delta is broken. */
function walkDelta(delta: Uint8Array, pageSize: number, page: Uint8Array | undefined): boolean {
  let read = 0;
  let at = 0;
  do {
    const unchanged = runLength(delta, read);
    if (unchanged < 0 || (unchanged === 0 && read > 0)) return false;
    read += runLengthBytes(delta, read);
    at += unchanged;

    const changed = runLength(delta, read);
    if (changed <= 0) return false;
    read += runLengthBytes(delta, read);
    if (at + changed > pageSize || read + changed > delta.length) return false;
    page?.set(delta.subarray(read, read + changed), at);
    read += changed;
    at += changed;
  } while (read < delta.length);
  return true;
}

/** The length at `at`, behind which at least one more byte must follow. -1 when there is none. */
function runLength(delta: Uint8Array, at: number): number {
  const low = delta[at];
  const high = delta[at + 1];
  if (low === undefined || high === undefined) return -1;
  if (low < 0x80) return low;
  return high < 0x80 ? (low & 0x7f) | (high << 7) : -1;
}

function runLengthBytes(delta: Uint8Array, at: number): 1 | 2 {
  return (delta[at] ?? 0) < 0x80 ? 1 : 2;
}

/** @returns the index behind the length. `target` has room for two bytes. */
function putRunLength(target: Uint8Array, at: number, length: number): number {
  if (length < 0x80) {
    target[at] = length;
    return at + 1;
  }
  target[at] = (length & 0x7f) | 0x80;
  target[at + 1] = length >>> 7;
  return at + 2;
}

/** The index from `at` on of the first byte that differs; the size of the page when none does. */
function firstDifference(old: DeltaPage, page: DeltaPage, at: number): number {
  const size = page.bytes.length;
  const boundary = Math.min(Math.ceil(at / WORD) * WORD, size);
  const before = differenceBefore(boundary, old.bytes, page.bytes, at);
  if (before < boundary || boundary === size) return before;
  const word = firstOtherWord(old.words, page.words, boundary / WORD);
  return differenceBefore(size, old.bytes, page.bytes, word * WORD);
}

/** The index from `at` on of the first byte that differs, `end` when none before it does. */
function differenceBefore(end: number, old: Uint8Array, page: Uint8Array, at: number): number {
  let index = at;
  while (index < end && old[index] === page[index]) index++;
  return index;
}

/** The index from `at` on of the first word that differs; behind the last word when none does. */
function firstOtherWord(old: Int32Array, page: Int32Array, at: number): number {
  const end = Math.min(old.length, page.length);
  let index = at;
  while (index < end && old[index] === page[index]) index++;
  return index;
}

/** The index from `at` on of the first byte that is the same; the size of the page when none is. */
function firstEqual(old: Uint8Array, page: Uint8Array, at: number): number {
  let index = at;
  while (index < page.length && old[index] !== page[index]) index++;
  return index;
}
