/** log2 of the pages in a piece. */
const PIECE_BITS = 15;
const PIECE_PAGES = 2 ** PIECE_BITS;
const PIECE_WORDS = PIECE_PAGES / 32;

/**
 * A set of pages by their number in a RAM block: a bit for each. Memory is taken in pieces of 4 KiB, for 128 MiB of
 * the block each, when the first page in them is added.
 */
export class PageSet {
  readonly #pieces: (Uint32Array | undefined)[] = [];
  #size = 0;

  /** Number of pages in the set. */
  get size(): number {
    return this.#size;
  }

  has(page: number): boolean {
    const piece = this.#pieces[page >>> PIECE_BITS];
    return piece !== undefined && (piece[wordOf(page)]! & bitOf(page)) !== 0;
  }

  /** @returns whether the page was not in the set. */
  add(page: number): boolean {
    const piece = (this.#pieces[page >>> PIECE_BITS] ??= new Uint32Array(PIECE_WORDS));
    const word = wordOf(page);
    const before = piece[word]!;
    const after = (before | bitOf(page)) >>> 0;
    if (after === before) return false;
    piece[word] = after;
    this.#size += 1;
    return true;
  }

  /** Removes the pages from `from` up to `end`, which is not among them. @returns how many there were. */
  deleteRange(from: number, end: number): number {
    const before = this.#size;
    for (let page = from; page < end;) {
      const piece = this.#pieces[page >>> PIECE_BITS];
      const pieceEnd = Math.min(end, ((page >>> PIECE_BITS) + 1) * PIECE_PAGES);
      if (piece !== undefined) this.#deleteIn(piece, page, pieceEnd);
      page = pieceEnd;
    }
    return before - this.#size;
  }

  #deleteIn(piece: Uint32Array, from: number, end: number): void {
    for (let page = from; page < end; page++) {
      const word = wordOf(page);
      if ((piece[word]! & bitOf(page)) === 0) continue;
      piece[word]! &= ~bitOf(page);
      this.#size -= 1;
    }
  }

  /** Adds all pages of the other set. */
  addAll(other: PageSet): void {
    for (const page of other.pages()) this.add(page);
  }

  /** The pages in rising order. */
  *pages(): Generator<number> {
    for (const [index, piece] of this.#pieces.entries()) {
      if (piece === undefined) continue;
      for (let word = 0; word < PIECE_WORDS; word++) {
        for (let bits = piece[word]!; bits !== 0; bits &= bits - 1) {
          yield index * PIECE_PAGES + word * 32 + 31 - Math.clz32(bits & -bits);
        }
      }
    }
  }

  /** The highest page; -1 when there is none. */
  last(): number {
    for (let index = this.#pieces.length - 1; index >= 0; index--) {
      const piece = this.#pieces[index];
      const word = piece?.findLastIndex((bits) => bits !== 0) ?? -1;
      if (word >= 0) return index * PIECE_PAGES + word * 32 + 31 - Math.clz32(piece![word]!);
    }
    return -1;
  }

  /** The lowest of the first `count` pages that is not in the set; -1 when all are. */
  firstAbsent(count: number): number {
    for (let first = 0; first < count; first += PIECE_PAGES) {
      const piece = this.#pieces[first / PIECE_PAGES];
      if (piece === undefined) return first;
      const word = piece.findIndex((bits) => bits !== 0xffff_ffff);
      if (word < 0) continue;
      const page = first + word * 32 + 31 - Math.clz32(~piece[word]! & -~piece[word]!);
      return page < count ? page : -1;
    }
    return -1;
  }
}

function wordOf(page: number): number {
  return (page & (PIECE_PAGES - 1)) >>> 5;
}

function bitOf(page: number): number {
  return 1 << (page & 31);
}
