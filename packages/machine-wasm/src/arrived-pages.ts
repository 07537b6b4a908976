import { PAGE_SIZE } from "@peregrine/shared-state";

/**
 * Which pages of a memory that was empty at first have been written to, one bit for each, in memory that all threads share
 * that write. The others are zero, and the kernel has not given them yet: even a look at one costs more than to know.
 */
export class ArrivedPages {
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
  }

  /** @param bytes that the memory can have at most. */
  static allocate(bytes: number): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * Math.ceil(bytes / PAGE_SIZE / 32));
  }

  /** The first of them from `page` on, before `end`; `end` when there is none. */
  next(page: number, end: number): number {
    for (let at = page; at < end; at = (at | 31) + 1) {
      const bits = this.#words[at >>> 5]! >>> (at & 31);
      if (bits !== 0) return Math.min(at + 31 - Math.clz32(bits & -bits), end);
    }
    return end;
  }

  /** To be called before the pages are written to, by whoever does that. */
  add(page: number, count: number): void {
    const end = page + count;
    for (let at = page; at < end;) {
      const stop = Math.min(end, (at | 31) + 1);
      const ones = stop - at === 32 ? -1 : ((1 << (stop - at)) - 1) << (at & 31);
      const word = at >>> 5;
      if ((this.#words[word]! & ones) !== ones) Atomics.or(this.#words, word, ones);
      at = stop;
    }
  }
}
