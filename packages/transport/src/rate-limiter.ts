import { MigrationError } from "@peregrine/protocol";

/** Length of the accounting period, milliseconds. */
export const RATE_PERIOD_MS = 100;

const SECOND_MS = 1000;

/** The last second is remembered in slots of this length, milliseconds. */
const SLOT_MS = 10;

/** One more slot than a second has, so that a whole second is always covered. */
const SLOTS = SECOND_MS / SLOT_MS + 1;

/** Share of the limit that any one second may reach before a period's late burst is held back. */
const SECOND_SLACK = 1.02;

/**
 * Holds a sender to a number of bytes per second. The sender puts what it sends, stops when the
 * limiter says `exceeded`, sleeps until the end of the 100 ms period and resets the period.
 *
 * A period's quota is a tenth of the limit, and `exceeded` is true once more than that was put.
 * What a period sent too much counts against the next ones, so the size of a single write does not
 * add to the rate. A period that ran longer than 100 ms, because the sender slept too long, leaves its
 * unused part to the next, at most one quota. So that a late burst followed by an early one cannot
 * add up either, `exceeded` is also true once the last second holds more than 2 % above the limit.
 *
 * Over any second a sender that obeys stays below the limit + 2 % + one write.
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

  /** Milliseconds until the end of the period, 0 when it is over. */
  get remaining(): number {
    return Math.max(0, this.#periodStart + RATE_PERIOD_MS - this.#now());
  }

  /**
   * Takes effect at once: a new limit begins a new period, and bytes put under the old one do not
   * count against it. Errors: BAD_PARAMETER.
   */
  setLimit(bytesPerSecond: number): void {
    if (!(bytesPerSecond >= 0)) {
      throw new MigrationError("BAD_PARAMETER", `A rate limit of ${bytesPerSecond} bytes per second is not possible`);
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

  /** Begins a new period, with what the old one owed or left over. */
  resetPeriod(): void {
    const now = this.#now();
    const earned = (this.#limit * (now - this.#periodStart)) / SECOND_MS;
    this.#periodBytes = Math.max(this.#periodBytes - earned, -this.#quota);
    this.#periodStart = now;
  }

  get #quota(): number {
    return (this.#limit * RATE_PERIOD_MS) / SECOND_MS;
  }

  /** Drops what is older than a second. */
  #forget(): void {
    const slot = Math.floor(this.#now() / SLOT_MS);
    const passed = Math.min(slot - this.#lastSlot, SLOTS);
    for (let back = 0; back < passed; back++) {
      const index = (slot - back) % SLOTS;
      this.#lastSecond -= this.#slots[index]!;
      this.#slots[index] = 0;
    }
    this.#lastSlot = slot;
  }
}
