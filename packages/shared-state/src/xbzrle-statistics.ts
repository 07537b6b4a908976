/** How many counters there are. */
export const XBZRLE_COUNTERS = 6;

/** The counters of XBZRLE, a part of those of a migration. */
export class XbzrleStatistics {
  readonly #counters: Float64Array;

  /** @param counters {@link XBZRLE_COUNTERS} of them. */
  constructor(counters: Float64Array) {
    this.#counters = counters;
  }

  /** Bytes of the deltas with their heads, and of the pages sent whole because a delta was no smaller. */
  get bytes(): number {
    return this.#counters[0]!;
  }

  set bytes(value: number) {
    this.#counters[0] = value;
  }

  /** Pages that were found in the cache or sent as deltas to zeros, also those that had not changed. */
  get pages(): number {
    return this.#counters[1]!;
  }

  set pages(value: number) {
    this.#counters[1] = value;
  }

  /** Pages that were not in the cache. */
  get cacheMiss(): number {
    return this.#counters[2]!;
  }

  set cacheMiss(value: number) {
    this.#counters[2] = value;
  }

  /** Share of the pages of the last period that were not in the cache, 0..1. */
  get cacheMissRate(): number {
    return this.#counters[3]!;
  }

  set cacheMissRate(value: number) {
    this.#counters[3] = value;
  }

  /** Bytes of the pages of the last period for each byte they took on the wire; 0 when there were none. */
  get encodingRate(): number {
    return this.#counters[4]!;
  }

  set encodingRate(value: number) {
    this.#counters[4] = value;
  }

  /** Pages sent whole because a delta was no smaller. */
  get overflow(): number {
    return this.#counters[5]!;
  }

  set overflow(value: number) {
    this.#counters[5] = value;
  }
}
