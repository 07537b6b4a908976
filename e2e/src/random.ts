/** Random numbers that can be repeated: the seed is printed, and PEREGRINE_SEED sets it. */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed = Number(process.env["PEREGRINE_SEED"] ?? Date.now() % 1_000_000)) {
    this.seed = seed;
    this.#state = seed >>> 0;
  }

  /** At least 0, less than 1. Mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let value = this.#state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  }
}
