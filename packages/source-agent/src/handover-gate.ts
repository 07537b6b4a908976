const OPEN = 0;
const PASSED = 1;
const CLOSED = 2;

/**
 * The point of no return. The migration thread passes the gate just before the bytes that make the stream
 * complete; from then on the destination may own the guest, and only its answer tells. A cancel closes the
 * gate. Of the two, one wins.
 */
export class HandoverGate {
  /** For opening the same gate in another thread. */
  readonly buffer: SharedArrayBuffer;
  readonly #cell: Int32Array;

  /** @param buffer of another thread's gate; a new gate is open. */
  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#cell = new Int32Array(buffer);
  }

  /** Whether the stream may be complete at the destination. */
  get passed(): boolean {
    return Atomics.load(this.#cell, 0) === PASSED;
  }

  /** @returns false if the gate was closed before. */
  pass(): boolean {
    return Atomics.compareExchange(this.#cell, 0, OPEN, PASSED) !== CLOSED;
  }

  /** @returns false if the gate was passed before. */
  close(): boolean {
    return Atomics.compareExchange(this.#cell, 0, OPEN, CLOSED) !== PASSED;
  }
}
