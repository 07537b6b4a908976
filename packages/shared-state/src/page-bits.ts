const ALL = 0xffff_ffff;

/** One bit for each page of a RAM block. Nothing counts them, so that marking many takes little more than marking one. */
export class PageBits {
  readonly #words: Uint32Array;

  /** @param buffer where the bits live, as those of a DirtyBitmap do. */
  constructor(buffer: ArrayBufferLike) {
    this.#words = new Uint32Array(buffer);
  }

  set(from: number, count: number): void {
    markRange(this.#words, from, from + count, ALL);
  }

  clear(from: number, count: number): void {
    markRange(this.#words, from, from + count, 0);
  }
}

/**
 * Sets or clears the bits from `from` to before `end`, the lowest of a word first.
 * @param all the bits of a word that is marked as a whole.
 */
export function markRange(words: Uint32Array, from: number, end: number, all: number): void {
  const firstWhole = (from + 31) >>> 5;
  const endWhole = end >>> 5;
  if (firstWhole > endWhole) {
    markPart(words, endWhole, ones(from & 31, end & 31), all);
    return;
  }
  if ((from & 31) !== 0) markPart(words, firstWhole - 1, ones(from & 31, 32), all);
  words.fill(all, firstWhole, endWhole);
  if ((end & 31) !== 0) markPart(words, endWhole, ones(0, end & 31), all);
}

function markPart(words: Uint32Array, index: number, bits: number, all: number): void {
  words[index] = (words[index]! & ~bits) | (all & bits);
}

/** From bit `from` on, up to `end`: not all of them. */
function ones(from: number, end: number): number {
  return ((1 << (end - from)) - 1) << from;
}
