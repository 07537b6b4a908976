import { MigrationError } from "@peregrine/protocol";
import { markRange } from "./page-bits.ts";

const ALL = 0xffff_ffff;

/**
 * One bit per page of a RAM block: set means that the page has to be sent. Only one thread changes a
 * bitmap; over a SharedArrayBuffer other threads may look at single bits.
 */
export class DirtyBitmap {
  readonly pages: number;
  readonly #words: Uint32Array;
  /** No bit is set in the words from here on: blocks are mostly much smaller than they may become. */
  #end = 0;
  #count = 0;
  #runStart = 0;

  /**
   * @param buffer where the bits live, four bytes for each 32 pages or part of them; kept as it is, so a
   * bitmap can be opened again over the bits of another. Default: a new, empty ArrayBuffer.
   * @param isClear no bit is set there, so that none has to be counted.
   */
  constructor(pages: number, buffer?: ArrayBufferLike, isClear = false) {
    const words = Math.ceil(pages / 32);
    this.pages = pages;
    this.#words = new Uint32Array(buffer ?? new ArrayBuffer(4 * words), 0, words);
    if (buffer === undefined || isClear) return;
    this.#end = words;
    for (const word of this.#words) this.#count += bitsIn(word);
  }

  /** Bytes that a bitmap of this many pages needs. */
  static bytesFor(pages: number): number {
    return 4 * Math.ceil(pages / 32);
  }

  /** How many bits are set. */
  get count(): number {
    return this.#count;
  }

  /** First page of the run that {@link takeRun} took last. */
  get runStart(): number {
    return this.#runStart;
  }

  test(page: number): boolean {
    this.#check(page, 1);
    return (this.#words[page >>> 5]! & (1 << page)) !== 0;
  }

  /** @returns true if the bit was clear before. */
  set(page: number): boolean {
    this.#check(page, 1);
    const word = this.#words[page >>> 5]!;
    const bit = 1 << page;
    if ((word & bit) !== 0) return false;
    this.#words[page >>> 5] = word | bit;
    this.#end = Math.max(this.#end, (page >>> 5) + 1);
    this.#count++;
    return true;
  }

  /** @returns true if the bit was set before. */
  clear(page: number): boolean {
    this.#check(page, 1);
    const word = this.#words[page >>> 5]!;
    const bit = 1 << page;
    if ((word & bit) === 0) return false;
    this.#words[page >>> 5] = word & ~bit;
    this.#count--;
    return true;
  }

  /** @returns how many of these bits were clear before. */
  setRange(from: number, count: number): number {
    this.#check(from, count);
    if (count === 0) return 0;
    const end = from + count;
    // As when a migration begins, with all that is in use.
    const added = this.#count === 0 ? count : this.#clearIn(from, end);
    markRange(this.#words, from, end, ALL);
    this.#count += added;
    this.#end = Math.max(this.#end, ((end - 1) >>> 5) + 1);
    return added;
  }

  /** Sets the first `pages` bits, every bit by default. @returns how many were clear before. */
  setAll(pages: number = this.pages): number {
    return this.setRange(0, pages);
  }

  /** Sets bits `32 * word` to `32 * word + 31` where `bits` has ones. @returns how many were clear before. */
  setWord(word: number, bits: number): number {
    const room = this.pages - 32 * word;
    if (word < 0 || room <= 0 || (room < 32 && bits >>> room !== 0)) throw outside(32 * word, 32, this.pages);
    const before = this.#count;
    this.#setInWord(word, bits);
    return this.#count - before;
  }

  /** The first set bit at or after `from`, or -1. */
  nextSet(from: number): number {
    if (from < 0 || this.#count === 0) return -1;
    const words = this.#words;
    const end = this.#end;
    let index = from >>> 5;
    if (index >= end) return -1;
    let bits = words[index]! & (ALL << from);
    while (bits === 0) {
      if (++index === end) return -1;
      bits = words[index]!;
    }
    return 32 * index + trailingZeros(bits);
  }

  /**
   * Clears the first run of set bits at or after `from`, at most `max` of them. Where it begins is in
   * {@link runStart}.
   * @returns the length of the run, 0 when no bit is set.
   */
  takeRun(from: number, max: number): number {
    const start = this.nextSet(from);
    if (start < 0 || max <= 0) return 0;
    const words = this.#words;
    let taken = 0;
    const { pages } = this;
    for (let page = start; taken < max && page < pages;) {
      const index = page >>> 5;
      const bit = page & 31;
      const word = words[index]!;
      // Most of a long run, for which nothing is called.
      if (word === ALL && bit === 0 && max - taken >= 32) {
        words[index] = 0;
        taken += 32;
        page += 32;
        continue;
      }
      const ones = trailingZeros(~(word >>> bit));
      const part = Math.min(ones, max - taken);
      words[index] = word & ~maskOf(bit, part);
      taken += part;
      page += part;
      if (bit + part < 32) break;
    }
    this.#count -= taken;
    this.#runStart = start;
    return taken;
  }

  /** How many of the bits from `from` to before `end` are clear. */
  #clearIn(from: number, end: number): number {
    let clear = 0;
    for (let page = from; page < end;) {
      const bit = page & 31;
      const part = Math.min(end - page, 32 - bit);
      clear += bitsIn(maskOf(bit, part) & ~this.#words[page >>> 5]!);
      page += part;
    }
    return clear;
  }

  #setInWord(index: number, bits: number): void {
    const word = this.#words[index]!;
    this.#count += bitsIn(bits & ~word);
    this.#words[index] = word | bits;
    if (index >= this.#end) this.#end = index + 1;
  }

  #check(from: number, count: number): void {
    if (from < 0 || count < 0 || from + count > this.pages) throw outside(from, count, this.pages);
  }
}

/** `count` ones (0 to 32) from bit `from` on. */
function maskOf(from: number, count: number): number {
  return count === 32 ? ALL : ((1 << count) - 1) << from;
}

/** 32 when no bit is set. */
function trailingZeros(bits: number): number {
  return bits === 0 ? 32 : 31 - Math.clz32(bits & -bits);
}

/** How many of the 32 bits of a word are set. */
export function bitsIn(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555);
  const nibbles = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

function outside(from: number, count: number, pages: number): MigrationError {
  return new MigrationError(
    "INTERNAL",
    `pages ${from} to ${from + count} are not all in a dirty bitmap of ${pages} pages`,
  );
}
