/** Bytes that come from another thread, one piece at a time. */
export class PassedBytes {
  readonly #taken: () => void;
  #next: Uint8Array | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  /** @param taken told when a piece that was added is done with. */
  constructor(taken: () => void) {
    this.#taken = taken;
  }

  /** The one before has been taken. */
  add(bytes: Uint8Array): void {
    this.#next = bytes;
    this.#change();
  }

  /** There are no more. */
  end(): void {
    this.#ended = true;
    this.#change();
  }

  /** @param first the bytes in front of the ones that are added. */
  async *read(first: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
    if (first.length > 0) yield first;
    for (;;) {
      const bytes = this.#next;
      if (bytes !== undefined) {
        yield bytes;
        this.#next = undefined;
        this.#taken();
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #change(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
