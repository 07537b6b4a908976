/** A sender that was late may catch up on this much, milliseconds. */
const CATCH_UP_MS = 20;

/** Longest wait, milliseconds: the speed is looked at again then. */
const MAX_WAIT_MS = 100;

/**
 * Spreads what a rate limit allows evenly. The limiter alone lets a period's bytes go in one burst at its
 * beginning; of ten such bursts in a second an eleventh may arrive a moment early, and the second has a
 * tenth too much.
 *
 * Over any time, what is sent stays below the limit + 20 ms' worth + one write.
 */
export class Pacer {
  readonly #now: () => number;
  #limit = 0;
  /** When everything sent so far would have been sent at the limit. */
  #due: number;

  /** `now` is a monotonic clock in milliseconds. The pacer starts unlimited. */
  constructor(now: () => number) {
    this.#now = now;
    this.#due = now();
  }

  /** Milliseconds to wait before the next write; 0 when it may go. */
  get waitTime(): number {
    if (this.#limit === 0) return 0;
    return Math.min(Math.max(this.#due - this.#now(), 0), MAX_WAIT_MS);
  }

  /** Bytes per second; 0 is unlimited. A change takes effect at once. */
  setLimit(bytesPerSecond: number): void {
    if (bytesPerSecond === this.#limit) return;
    this.#limit = bytesPerSecond;
    this.#due = this.#now();
  }

  /** Counts `bytes` that were sent. */
  put(bytes: number): void {
    if (this.#limit === 0) return;
    this.#due = Math.max(this.#due, this.#now() - CATCH_UP_MS) + (bytes * 1000) / this.#limit;
  }
}
