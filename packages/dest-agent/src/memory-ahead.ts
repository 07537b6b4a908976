import { adviseHugePages, giveMemory, giveMemoryHere } from "@peregrine/host-memory";

/** What the kernel gives at once where it has huge pages. */
const ALIGNMENT = 2 * 1024 * 1024;
/** So many bytes have to have come in one piece before more is expected behind them. */
const DENSE_BYTES = 1024 * 1024;
/** What is decided on at once, and how often before it is there: they bound what a guest may get that turns out to be sparse. */
const WINDOW_BYTES = 16 * 1024 * 1024;
const WINDOWS = 2;
/** Windows for which a kernel that is slow counts as such. */
const SLOW_WINDOWS = 4;
/** Bytes in a millisecond. A kernel that gives less has to get the memory from somewhere first: the host of a virtual machine. */
const QUICK = 2 * 1024 * 1024;

/** How the kernel is made to give memory. */
export interface MemoryGiver {
  /** Milliseconds of processor time that this thread has had. */
  threadTime(): number;
  /** At once, in this thread. @returns whether it was given; undefined where that cannot be asked for yet. */
  here(memory: Uint8Array): boolean | undefined;
  /** In another thread. */
  aside(memory: Uint8Array): Promise<boolean>;
}

const HOST: MemoryGiver = {
  threadTime() {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  },
  here: (memory) => giveMemoryHere(memory),
  aside: (memory) => giveMemory(memory),
};

/**
 * Memory of an arriving guest that the kernel has not given yet. Where it takes longer to give it than to fill it, another
 * thread has it given ahead of pages that come one behind the other. Where the kernel has it at hand, that is left to the
 * first write: the page is zeroed in the processor's cache then, and still there when it is filled. Now and then the first of
 * a window tells which it is.
 */
export class MemoryAhead {
  readonly #memory: Uint8Array;
  readonly #giver: MemoryGiver;
  #end = 0;
  #denseBytes = 0;
  /** Up to here everything was asked for, or need not be asked for any more. */
  #asked = 0;
  /** Windows that are not there yet. */
  #awaited = 0;
  /** Windows that another thread is to give before it is seen again whether that is worth it. */
  #slowWindows = 0;

  /** @param memory of a block. */
  constructor(memory: Uint8Array, giver: MemoryGiver = HOST) {
    this.#memory = memory;
    this.#giver = giver;
    void adviseHugePages(memory);
  }

  /** Behind pages that have come one after the other: where the next is expected. Undefined when none is. */
  get expected(): number | undefined {
    return this.#denseBytes < DENSE_BYTES ? undefined : this.#end;
  }

  /** Told of every run of pages that is written. */
  arrived(offset: number, bytes: number): void {
    this.#denseBytes = offset === this.#end ? this.#denseBytes + bytes : bytes;
    this.#end = offset + bytes;
    if (this.#denseBytes < DENSE_BYTES || this.#asked >= this.#memory.length) return;
    if (this.#slowWindows === 0 && this.#end >= this.#asked) this.#look();
    while (this.#slowWindows > 0 && this.#awaited < WINDOWS && this.#asked < this.#memory.length) {
      if (this.#asked - this.#end > (WINDOWS - 1) * WINDOW_BYTES) return;
      this.#slowWindows--;
      void this.#ask();
    }
  }

  /** Has the first of the next window given, and sees how long that takes. */
  #look(): void {
    const first = this.#next(ALIGNMENT);
    if (first.length === 0) return;
    const start = this.#giver.threadTime();
    const isGiven = this.#giver.here(first);
    if (isGiven === undefined) return;
    // What is not given now is given with the first write, as ever.
    if (!isGiven) this.#asked = Infinity;
    else if (first.length < QUICK * (this.#giver.threadTime() - start)) this.#slowWindows = SLOW_WINDOWS;
    else this.#asked += WINDOW_BYTES - ALIGNMENT;
  }

  async #ask(): Promise<void> {
    const window = this.#next(WINDOW_BYTES);
    if (window.length === 0) return;
    this.#awaited++;
    if (!(await this.#giver.aside(window).catch(() => false))) this.#asked = Infinity;
    this.#awaited--;
  }

  /** The memory behind what has come and was asked for, at most so many bytes. It counts as asked for. */
  #next(bytes: number): Uint8Array {
    const next = Math.ceil(this.#end / ALIGNMENT) * ALIGNMENT;
    const from = Math.min(Math.max(next, this.#asked), this.#memory.length);
    this.#asked = Math.min(from + bytes, this.#memory.length);
    return this.#memory.subarray(from, this.#asked);
  }
}
