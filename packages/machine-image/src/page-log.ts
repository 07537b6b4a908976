import { bitsIn, DirtyBitmap } from "@peregrine/shared-state";
import type { Backlog } from "./backlog.ts";

/**
 * Two bits for each page of a RAM block, in shared memory: whether it has contents, which it keeps, and
 * whether it is dirty, until a harvest takes that.
 *
 * Why no write is lost. Who writes: bytes, then the mark. Who sends: take the mark, then copy the page. Marks are set
 * and taken by atomic read-modify-writes of one word, which have one order for all threads. A mark that is set
 * before a harvest takes its word was set behind its bytes, so the copy that follows has them. Any other mark is
 * there for the next harvest, so a copy that is torn, or has been overtaken, is always followed by another one.
 * That holds also when the bit was set already: it is set again with a read-modify-write all the same, as a look
 * at it could be earlier than the bytes.
 */
export class PageLog {
  readonly #pages: number;
  readonly #buffer: SharedArrayBuffer;
  readonly #contents: Int32Array;
  readonly #dirty: Int32Array;
  readonly #backlog: Backlog;

  /** @param buffer of {@link bytesFor} bytes, zeros for a new log. */
  constructor(pages: number, buffer: SharedArrayBuffer, backlog: Backlog) {
    const bytes = DirtyBitmap.bytesFor(pages);
    this.#pages = pages;
    this.#buffer = buffer;
    this.#contents = new Int32Array(buffer, 0, bytes / 4);
    this.#dirty = new Int32Array(buffer, bytes, bytes / 4);
    this.#backlog = backlog;
  }

  /** Bytes that the log of so many pages needs. */
  static bytesFor(pages: number): number {
    return 2 * DirtyBitmap.bytesFor(pages);
  }

  /** Pages that were ever marked. */
  get pagesWithContents(): number {
    return new DirtyBitmap(this.#pages, this.#buffer).count;
  }

  hasContents(page: number): boolean {
    return (this.#contents[page >>> 5]! & (1 << page)) !== 0;
  }

  /** Pages have been written: they have contents and are dirty. */
  mark(page: number, count: number): void {
    const end = page + count;
    for (let from = page; from < end;) {
      const word = from >>> 5;
      const stop = Math.min(end, 32 * (word + 1));
      const bits = (-1 >>> (32 - (stop - from))) << from;
      // First, so that a page which is dirty always has contents.
      if ((this.#contents[word]! & bits) !== bits) Atomics.or(this.#contents, word, bits);
      this.#markDirty(word, bits);
      from = stop;
    }
  }

  /** Makes all pages with contents dirty. Pages may be marked meanwhile. */
  markContents(): void {
    for (let word = 0; word < this.#contents.length; word++) {
      const bits = Atomics.load(this.#contents, word);
      if (bits !== 0) this.#markDirty(word, bits);
    }
  }

  /** Takes the dirty marks. @returns how many bits were set in `into` that were clear before. */
  harvest(into: DirtyBitmap): number {
    const dirty = this.#dirty;
    let marks = 0;
    let fresh = 0;
    for (let word = 0; word < dirty.length; word++) {
      // A mark that this look does not see yet is there for the next harvest.
      if (dirty[word] === 0) continue;
      const bits = Atomics.exchange(dirty, word, 0);
      marks += bitsIn(bits);
      fresh += into.setWord(word, bits);
    }
    if (marks > 0) this.#backlog.harvested(marks, fresh);
    return fresh;
  }

  #markDirty(word: number, bits: number): void {
    this.#backlog.add(bitsIn(bits));
    const twice = bits & Atomics.or(this.#dirty, word, bits);
    if (twice !== 0) this.#backlog.takeBack(bitsIn(twice));
  }
}
