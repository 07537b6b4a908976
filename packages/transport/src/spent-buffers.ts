/**
 * Frees the memory that Node's compression writes into, of which it takes new one whenever a piece of it is full. Left alone, it is
 * freed with other garbage, and there is so little of that in a thread that tens of megabytes wait for it.
 */
export class SpentBuffers {
  readonly #bytes: number;
  readonly #spent: ArrayBuffer[] = [];

  /** @param bytes of such a piece of memory: the stream's `chunkSize`. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Bytes were read of the stream. Where they end with a piece of memory, it is full, and nothing is written there any more. */
  took({ buffer, byteOffset, length }: Uint8Array): void {
    const isFull = buffer.byteLength === this.#bytes && byteOffset + length === this.#bytes;
    if (isFull && buffer instanceof ArrayBuffer) this.#spent.push(buffer);
  }

  /** Nobody needs what was read until now. */
  free(): void {
    for (const buffer of this.#spent) buffer.transfer(0);
    this.#spent.length = 0;
  }
}
