/** One pass over guest memory. Sizes are bytes, times milliseconds, rates bytes per second. */
export interface PassRecord {
  /** From 1 on. */
  readonly pass: number;
  /** Guest memory to send in it, as counted at its beginning. */
  readonly total: number;
  /** When it began, since the migration was accepted. */
  readonly start: number;
  /** What the guest dirtied when it began; 0 is not known yet. */
  readonly dirtyRate: number;
  /** Bytes of the stream before it began. */
  readonly transferredBefore: number;
}

/** Passes that are kept: the last ones. */
export const KEPT_PASSES = 64;

const FIELDS = 5;

/**
 * The last passes of the outgoing migration, in shared memory: the migration thread adds them, others read. A pass that is
 * being added is not seen before it is whole; one that is read just while 64 later ones are added may be mixed with them.
 */
export class PassLog {
  /** For opening the same log in another thread. */
  readonly buffer: SharedArrayBuffer;
  readonly #count: Int32Array;
  readonly #fields: Float64Array;

  constructor(buffer?: SharedArrayBuffer) {
    const bytes = Float64Array.BYTES_PER_ELEMENT;
    this.buffer = buffer ?? new SharedArrayBuffer(bytes * (1 + KEPT_PASSES * FIELDS));
    this.#count = new Int32Array(this.buffer, 0, 1);
    this.#fields = new Float64Array(this.buffer, bytes);
  }

  /** Begins a new migration: there are none. */
  reset(): void {
    Atomics.store(this.#count, 0, 0);
  }

  add({ pass, total, start, dirtyRate, transferredBefore }: PassRecord): void {
    const count = Atomics.load(this.#count, 0);
    this.#fields.set([pass, total, start, dirtyRate, transferredBefore], (count % KEPT_PASSES) * FIELDS);
    Atomics.store(this.#count, 0, count + 1);
  }

  /** In their order. */
  records(): PassRecord[] {
    const count = Atomics.load(this.#count, 0);
    const kept = Math.min(count, KEPT_PASSES);
    return Array.from({ length: kept }, (_, n) => this.#record((count - kept + n) % KEPT_PASSES));
  }

  #record(slot: number): PassRecord {
    const [pass, total, start, dirtyRate, transferredBefore] = this.#fields.subarray(
      slot * FIELDS,
    ) as unknown as [number, number, number, number, number];
    return { pass, total, start, dirtyRate, transferredBefore };
  }
}
