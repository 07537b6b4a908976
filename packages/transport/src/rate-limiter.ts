import { MigrationError } from "@peregrine/protocol";

/** Length of the accounting period, milliseconds. */
export const RATE_PERIOD_MS = 100;

const SECOND_MS = 1000;

/** How long to wait for the last second to forget some of its bytes. */
const SECOND_WAIT_MS = 10;

/** The last second is remembered in slots of one millisecond. */
const SLOTS = SECOND_MS;

/** Share of the limit that any one second may reach before a period's late burst is held back. */
const SECOND_SLACK = 1.02;

/**
 * Holds a sender to a number of bytes per second. The sender puts what it sends; when the limiter
 * says `exceeded` it sleeps for `waitTime` and then calls `resetPeriod`.
 *
 * A period of 100 ms has a quota of a tenth of the limit, and `exceeded` is true once more than that
 * was put. What a period sent too much counts against the next ones, so that the size of a single
 * write does not add to the rate. What it left over, because the sender slept too long, goes to the
 * next one, at most one quota. So that a late burst followed by an early one cannot add up,
 * `exceeded` is also true while the last second holds more than 2 % above the limit.
 *
 * Over any second, to the millisecond, a sender that obeys stays below the limit + 2 % + one write.
 */
export class RateLimiter {
  readonly #now: () => number;
  readonly #slots = new Float64Array(SLOTS);
  #lastSlot = 0;
  #lastSecond = 0;
  #limit = 0;
  #periodStart: number;
  #periodBytes = 0;

  /** `now` is a monotonic clock in milliseconds. The limiter starts unlimited. */
  constructor(now: () => number) {
    this.#now = now;
    this.#periodStart = now();
  }

  /** Bytes per second; 0 is unlimited. */
  get limit(): number {
    return this.#limit;
  }

  /** Whether the sender has to stop until the end of the period. */
  get exceeded(): boolean {
    if (this.#limit === 0) return false;
    if (this.#periodBytes > this.#quota) return true;
    this.#forget();
    return this.#lastSecond > this.#limit * SECOND_SLACK;
  }

  /** Milliseconds to sleep before asking again; 0 when the sender may send, or when the period is over. */
  get waitTime(): number {
    if (!this.exceeded) return 0;
    const untilEnd = Math.max(0, this.#periodStart + RATE_PERIOD_MS - this.#now());
    return this.#periodBytes > this.#quota ? untilEnd : Math.min(untilEnd, SECOND_WAIT_MS);
  }

  /**
   * Takes effect at once: a new limit begins a new period, and bytes put under the old one do not
   * count against it. Errors: BAD_PARAMETER.
   */
  setLimit(bytesPerSecond: number): void {
    if (!(bytesPerSecond >= 0)) {
      throw new MigrationError(
        "BAD_PARAMETER",
        `A rate limit of ${bytesPerSecond} bytes per second is not possible`,
      );
    }
    if (bytesPerSecond === this.#limit) return;
    this.#limit = bytesPerSecond;
    this.#periodBytes = 0;
    this.#periodStart = this.#now();
    this.#slots.fill(0);
    this.#lastSecond = 0;
  }

  /** Counts `bytes` that were sent. */
  put(bytes: number): void {
    if (this.#limit === 0) return;
    this.#forget();
    this.#periodBytes += bytes;
    this.#lastSecond += bytes;
    this.#slots[this.#lastSlot % SLOTS]! += bytes;
  }

  /** Begins a new period, with what the old one owed or left over. Does nothing while the old one still runs. */
  resetPeriod(): void {
    const periods = Math.floor((this.#now() - this.#periodStart) / RATE_PERIOD_MS);
    this.#periodStart += periods * RATE_PERIOD_MS;
    this.#periodBytes = Math.max(this.#periodBytes - periods * this.#quota, -this.#quota);
  }

  get #quota(): number {
    return (this.#limit * RATE_PERIOD_MS) / SECOND_MS;
  }

  /** Drops what is older than a second. */
  #forget(): void {
    const slot = Math.floor(this.#now());
    const passed = Math.min(slot - this.#lastSlot, SLOTS);
    for (let back = 0; back < passed; back++) {
      const index = (slot - back) % SLOTS;
      this.#lastSecond -= this.#slots[index]!;
      this.#slots[index] = 0;
    }
    this.#lastSlot = slot;
  }
}
