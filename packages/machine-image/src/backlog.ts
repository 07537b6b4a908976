import { MigrationError } from "@peregrine/protocol";

/** Indices of the 32-bit words. */
const LIMIT = 0;
/** Pages that are marked in the dirty log. */
const LOGGED = 1;
/** Pages that were harvested from it and not sent yet. */
const HARVESTED = 2;
/** Changes when those who wait are to look again. */
const TURN = 3;
const WORDS = 4;

const MAX_LIMIT = 2 ** 31 - 1;

/** Those who wait go on at this part of the limit, so that they are not woken for each page. */
const LOW = 3 / 4;

/**
 * Counts the pages of an image that were logged and not sent yet, and holds back who writes more while
 * they are too many. Shared by all threads that open it over one buffer.
 *
 * A page that is written again between its harvest and its sending counts twice until the next harvest.
 */
export class Backlog {
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
  }

  /** For a backlog without a limit. */
  static newBuffer(): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * WORDS);
  }

  get pages(): number {
    return Atomics.load(this.#words, LOGGED) + Atomics.load(this.#words, HARVESTED);
  }

  /** @param pages 0: no limit. Errors: BAD_PARAMETER. */
  setLimit(pages: number): void {
    if (!Number.isInteger(pages) || pages < 0 || pages > MAX_LIMIT) {
      throw new MigrationError("BAD_PARAMETER", `A backlog limit has 0 to ${MAX_LIMIT} pages, not ${pages}`);
    }
    Atomics.store(this.#words, LIMIT, pages);
    this.#wake();
  }

  /** So many marks are about to be set. Before that, so that no mark can be taken which was not counted. */
  add(pages: number): void {
    Atomics.add(this.#words, LOGGED, pages);
  }

  /** So many of the marks that were counted by {@link add} were set already. */
  takeBack(pages: number): void {
    Atomics.sub(this.#words, LOGGED, pages);
    this.#wakeIfLow();
  }

  /** So many marks were taken, and `fresh` of their pages were not waiting to be sent already. */
  harvested(marks: number, fresh: number): void {
    Atomics.add(this.#words, HARVESTED, fresh);
    Atomics.sub(this.#words, LOGGED, marks);
    this.#wakeIfLow();
  }

  sent(pages: number): void {
    Atomics.sub(this.#words, HARVESTED, pages);
    this.#wakeIfLow();
  }

  /** Nobody will send what was harvested. */
  forgetHarvested(): void {
    Atomics.store(this.#words, HARVESTED, 0);
    this.#wakeIfLow();
  }

  /** Undefined when the backlog is within its limit, otherwise a promise for when it has fallen to 3/4 of it. */
  room(): Promise<void> | undefined {
    const limit = Atomics.load(this.#words, LIMIT);
    return limit === 0 || this.pages <= limit ? undefined : this.#whenLow();
  }

  async #whenLow(): Promise<void> {
    for (;;) {
      // Before the look: a change after it makes the wait end at once.
      const turn = Atomics.load(this.#words, TURN);
      if (this.#isLow) return;
      await Atomics.waitAsync(this.#words, TURN, turn).value;
    }
  }

  get #isLow(): boolean {
    const limit = Atomics.load(this.#words, LIMIT);
    return limit === 0 || this.pages <= limit * LOW;
  }

  #wakeIfLow(): void {
    if (this.#isLow) this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#words, TURN, 1);
    Atomics.notify(this.#words, TURN);
  }
}
