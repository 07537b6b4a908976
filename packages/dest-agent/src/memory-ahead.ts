import { adviseHugePages, giveMemory } from "@peregrine/host-memory";

/** What the kernel gives at once where it has huge pages. */
const ALIGNMENT = 2 * 1024 * 1024;
/** So many bytes have to have come in one piece before more is expected behind them. */
const DENSE_BYTES = 1024 * 1024;
/** What is asked for at once, and how often before it is there: they bound what a guest may get that turns out to be sparse. */
const WINDOW_BYTES = 16 * 1024 * 1024;
const WINDOWS = 2;

/**
 * Memory of an arriving guest that the kernel has not given yet. To give it takes longer than to fill it, so while pages
 * come one behind the other, another thread has it given ahead of them.
 */
export class MemoryAhead {
  readonly #memory: Uint8Array;
  #end = 0;
  #denseBytes = 0;
  /** Up to here everything was asked for, or need not be asked for any more. */
  #asked = 0;
  /** Windows that are not there yet. */
  #awaited = 0;

  /** @param memory of a block. */
  constructor(memory: Uint8Array) {
    this.#memory = memory;
    void adviseHugePages(memory);
  }

  /** Told of every run of pages that is written. */
  arrived(offset: number, bytes: number): void {
    this.#denseBytes = offset === this.#end ? this.#denseBytes + bytes : bytes;
    this.#end = offset + bytes;
    if (this.#denseBytes < DENSE_BYTES) return;
    while (this.#awaited < WINDOWS && this.#asked < this.#memory.length) {
      if (this.#asked - this.#end > (WINDOWS - 1) * WINDOW_BYTES) return;
      void this.#ask();
    }
  }

  async #ask(): Promise<void> {
    const next = Math.ceil(this.#end / ALIGNMENT) * ALIGNMENT;
    const from = Math.min(Math.max(next, this.#asked), this.#memory.length);
    const to = Math.min(from + WINDOW_BYTES, this.#memory.length);
    this.#asked = to;
    if (from === to) return;
    this.#awaited++;
    // What is not given now is given with the first write, as ever.
    if (!(await giveMemory(this.#memory.subarray(from, to)).catch(() => false))) this.#asked = Infinity;
    this.#awaited--;
  }
}
