/** Pages of one RAM block that go out together. */
export class PageBatch {
  /** Pairs: the first page of a run, and how many it has. */
  readonly #runs: Uint32Array;
  #length = 0;
  /** Pages in it. */
  pages = 0;
  /** Index of the block. */
  block = 0;

  /** @param most pages that it ever has. */
  constructor(most: number) {
    this.#runs = new Uint32Array(2 * most);
  }

  get isEmpty(): boolean {
    return this.pages === 0;
  }

  /** A copy of the runs so far. */
  get runs(): Uint32Array {
    return this.#runs.slice(0, this.#length);
  }

  add(page: number, count: number): void {
    this.#runs[this.#length++] = page;
    this.#runs[this.#length++] = count;
    this.pages += count;
  }

  clear(): void {
    this.#length = 0;
    this.pages = 0;
  }
}
