/** Shortest time over which the rate is computed, milliseconds. */
const PERIOD_MS = 1000;

/** How many pages the guest dirties in a second, from the harvests of its dirty log. */
export class DirtyRate {
  #periodStart: number;
  #pages = 0;
  #pagesPerSecond = 0;

  /** @param now milliseconds. */
  constructor(now: number) {
    this.#periodStart = now;
  }

  /** The rate in the last period that is over; 0 before the first. */
  get pagesPerSecond(): number {
    return this.#pagesPerSecond;
  }

  /**
   * A harvest at `now` found `pages` pages newly dirty.
   * @returns how many were dirtied in the period, when it is over.
   */
  harvested(pages: number, now: number): number | undefined {
    this.#pages += pages;
    const elapsed = now - this.#periodStart;
    if (elapsed <= PERIOD_MS) return undefined;
    const dirtied = this.#pages;
    this.#pagesPerSecond = (dirtied * 1000) / elapsed;
    this.#pages = 0;
    this.#periodStart = now;
    return dirtied;
  }
}
