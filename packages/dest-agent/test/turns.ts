import { expect } from "vitest";

/** Turns of the event loop that something has left to others, counted from now on. For what would never end without any. */
export class Turns {
  #count = 0;
  readonly #timer = setInterval(() => this.#count++, 1);
  // No timeout of the test's would have its turn either.
  readonly #until = performance.now() + 10_000;

  /** Whether there were too few so far, and there may still be more. */
  get goesOn(): boolean {
    return this.#count < 3 && performance.now() < this.#until;
  }

  /** There were enough. Nothing is counted any more. */
  expectEnough(): void {
    clearInterval(this.#timer);
    expect(this.#count).toBeGreaterThanOrEqual(3);
    expect(performance.now()).toBeLessThan(this.#until);
  }
}
