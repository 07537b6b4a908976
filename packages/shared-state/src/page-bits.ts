const ALL = 0xffff_ffff;

/** One bit for each page of a RAM block. Nothing counts them, so that marking many takes little more than marking one. */
export class PageBits {
  readonly #words: Uint32Array;

  /** @param buffer where the bits live, as those of a DirtyBitmap do. */
  constructor(buffer: ArrayBufferLike) {
    this.#words = new Uint32Array(buffer);
  }

  set(from: number, count: number): void {
    this.#mark(from, from + count, ALL);
  }

  clear(from: number, count: number): void {
    this.#mark(from, from + count, 0);
  }

  /** @param all the bits of a word from now on. */
  #mark(from: number, end: number, all: number): void {
    const firstWhole = (from + 31) >>> 5;
    const endWhole = end >>> 5;
    if (firstWhole > endWhole) {
      this.#markPart(endWhole, ones(from & 31, end & 31), all);
      return;
    }
    if ((from & 31) !== 0) this.#markPart(firstWhole - 1, ones(from & 31, 32), all);
    this.#words.fill(all, firstWhole, endWhole);
    if ((end & 31) !== 0) this.#markPart(endWhole, ones(0, end & 31), all);
  }

  #markPart(index: number, bits: number, all: number): void {
    const word = this.#words[index]!;
    this.#words[index] = (word & ~bits) | (all & bits);
  }
}

/** From bit `from` on, up to `end`: not all of them. */
function ones(from: number, end: number): number {
  return ((1 << (end - from)) - 1) << from;
}
