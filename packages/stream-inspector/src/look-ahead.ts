const NOTHING = new Uint8Array(0);

/** Chunks that can be looked at before they are read. */
export class LookAhead {
  readonly #chunks: AsyncIterator<Uint8Array>;
  /** Bytes that were looked at, copied from their chunks. */
  #held = NOTHING;
  #ended = false;

  /** @param chunks each valid until the next one is asked for. */
  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `count` bytes, which stay unread; fewer when that is all there is. */
  async peek(count: number): Promise<Uint8Array> {
    while (this.#held.length < count && !this.#ended) {
      const next = await this.#chunks.next();
      if (next.done === true) this.#ended = true;
      else this.#hold(next.value);
    }
    return this.#held.subarray(0, count);
  }

  /** Forgets `count` bytes that were looked at. */
  skip(count: number): void {
    this.#held = this.#held.subarray(count);
  }

  /** Everything from here on. Each chunk is valid until the next one is asked for. */
  async *rest(): AsyncGenerator<Uint8Array> {
    try {
      const held = this.#held;
      this.#held = NOTHING;
      if (held.length > 0) yield held;
      while (!this.#ended) {
        const next = await this.#chunks.next();
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await this.#chunks.return?.();
    }
  }

  #hold(chunk: Uint8Array): void {
    const held = new Uint8Array(this.#held.length + chunk.length);
    held.set(this.#held);
    held.set(chunk, this.#held.length);
    this.#held = held;
  }
}
