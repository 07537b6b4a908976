/** Bytes of console input that wait between the main thread and the guest, at most. */
const CONSOLE_RING_BYTES = 32 * 1024;

/** Positions of the counters in the header, as 32-bit words. */
const WRITTEN = 0;
const TAKEN = 1;
const ENDED = 2;
const HEADER_BYTES = 16;

export function createConsoleRing(capacity: number = CONSOLE_RING_BYTES): SharedArrayBuffer {
  if (capacity <= 0 || (capacity & (capacity - 1)) !== 0) {
    throw new RangeError("the capacity of a console ring is a power of two");
  }
  return new SharedArrayBuffer(HEADER_BYTES + capacity);
}

/**
 * Console input on its way to the guest: one thread puts, one takes. The counters run on through
 * 2^32; their difference is what lies in the ring.
 */
export class ConsoleRing {
  readonly #header: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(memory: SharedArrayBuffer) {
    this.#header = new Int32Array(memory, 0, HEADER_BYTES / 4);
    this.#bytes = new Uint8Array(memory, HEADER_BYTES);
  }

  /** Bytes that can be taken now. */
  get length(): number {
    return (Atomics.load(this.#header, WRITTEN) - Atomics.load(this.#header, TAKEN)) >>> 0;
  }

  /** True once no byte follows those in the ring. */
  get ended(): boolean {
    return Atomics.load(this.#header, ENDED) !== 0;
  }

  /** Puts what fits and returns how many bytes that were. */
  put(bytes: Uint8Array): number {
    const written = Atomics.load(this.#header, WRITTEN);
    const count = Math.min(bytes.length, this.#bytes.length - this.length);
    this.#copy(written, count, (at, from, length) => {
      this.#bytes.set(bytes.subarray(from, from + length), at);
    });
    Atomics.store(this.#header, WRITTEN, (written + count) | 0);
    return count;
  }

  end(): void {
    Atomics.store(this.#header, ENDED, 1);
  }

  /** What lies in the ring, without taking it. */
  peek(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    this.#copy(Atomics.load(this.#header, TAKEN), bytes.length, (at, from, length) => {
      bytes.set(this.#bytes.subarray(at, at + length), from);
    });
    return bytes;
  }

  /** Takes what is there, at most `target.length` bytes, and wakes whoever waits for room. */
  take(target: Uint8Array): number {
    const taken = Atomics.load(this.#header, TAKEN);
    const count = Math.min(target.length, this.length);
    this.#copy(taken, count, (at, from, length) => {
      target.set(this.#bytes.subarray(at, at + length), from);
    });
    if (count > 0) {
      Atomics.store(this.#header, TAKEN, (taken + count) | 0);
      Atomics.notify(this.#header, TAKEN);
    }
    return count;
  }

  /** Resolves when the ring has room. */
  async room(): Promise<void> {
    const taken = Atomics.load(this.#header, TAKEN);
    if (this.length < this.#bytes.length) return;
    await Atomics.waitAsync(this.#header, TAKEN, taken).value;
  }

  /** Runs `move` for the one or two pieces of `count` bytes from counter `start` on. */
  #copy(start: number, count: number, move: (at: number, from: number, length: number) => void): void {
    const at = (start >>> 0) & (this.#bytes.length - 1);
    const first = Math.min(count, this.#bytes.length - at);
    move(at, 0, first);
    if (first < count) move(0, first, count - first);
  }
}
