/** Sizes of the chunks that a stream comes in, one after the other. */
export type ChunkSizes = () => number;

/** Sizes from 1 byte to `max`, small ones often, the same ones in every run. */
export function randomSizes(seed: number, max = 100_000): ChunkSizes {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const fraction = state / 2 ** 32;
    return 1 + Math.floor(fraction ** 4 * max);
  };
}

/** A stream in chunks. All of them are in the same memory, so that one that is used after its time shows. */
export class Chunks {
  readonly #bytes: Uint8Array;
  readonly #sizes: ChunkSizes;
  readonly #single = new Uint8Array(1);
  #buffer = new Uint8Array(65_536);
  #at = 0;

  constructor(bytes: Uint8Array, sizes: ChunkSizes) {
    this.#bytes = bytes;
    this.#sizes = sizes;
  }

  /** @returns undefined at the end. The chunk before is overwritten. */
  next(): Uint8Array | undefined {
    const from = this.#at;
    if (from === this.#bytes.length) return undefined;
    const size = Math.min(this.#sizes(), this.#bytes.length - from);
    this.#at += size;
    if (size === 1) {
      this.#single[0] = this.#bytes[from]!;
      return this.#single;
    }
    if (size > this.#buffer.length) this.#buffer = new Uint8Array(size);
    this.#buffer.set(this.#bytes.subarray(from, this.#at));
    return this.#buffer.subarray(0, size);
  }
}
