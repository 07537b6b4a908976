import type { ControlBlock } from "./control-block.ts";

/**
 * A throttled guest is left this often, so that it neither runs nor sleeps for long at a time. With a share of 99 %
 * it sleeps for a second then. Milliseconds.
 */
export const THROTTLE_SLICE_MS = 10;

/**
 * Guest thread: keeps the guest from running for its share of the time. What it has to sleep follows from how long
 * it has run, so the share holds however seldom it can be left.
 */
export class Throttle {
  readonly #block: ControlBlock;
  readonly #now: () => number;
  #resumedAt = 0;
  /** Milliseconds that it has run and has slept since they last were even. */
  #ran = 0;
  #slept = 0;
  #isOn = false;

  /** @param now milliseconds of a clock that never goes back. */
  constructor(block: ControlBlock, now: () => number) {
    this.#block = block;
    this.#now = now;
  }

  /** The guest's code begins to run or goes on. */
  resume(): void {
    this.#resumedAt = this.#now();
  }

  /** Waits for the guest in a host call, which is not running: until there is a wake or the time is over. */
  wait(timeoutMs: number): void {
    const start = this.#now();
    this.#block.wait(timeoutMs);
    this.#resumedAt += this.#now() - start;
  }

  /** The guest was left: sleeps for what it has run. Ends at once when there is a request. */
  sleep(): void {
    this.#ran += this.#now() - this.#resumedAt;
    for (;;) {
      const owed = this.#owed();
      if (owed <= 0 || this.#block.hasRequest) return;
      const start = this.#now();
      this.#block.wait(owed);
      this.#slept += this.#now() - start;
    }
  }

  /** Milliseconds that it still has to sleep. */
  #owed(): number {
    const share = this.#block.throttle;
    const wasOn = this.#isOn;
    this.#isOn = share > 0;
    // What it ran before it was throttled does not count.
    if (!wasOn || !this.#isOn) this.#settle(0);
    const due = (this.#ran * share) / (100 - share);
    if (due > this.#slept) return due - this.#slept;
    this.#settle(this.#slept - due);
    return 0;
  }

  /** @param ahead milliseconds slept too much: they count for what comes next, up to a slice. */
  #settle(ahead: number): void {
    this.#ran = 0;
    this.#slept = Math.min(ahead, THROTTLE_SLICE_MS);
  }
}
