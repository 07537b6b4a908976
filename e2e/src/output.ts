/** Text that a process wrote, and waiting for more of it. */
export class Output {
  readonly #chunks: Buffer[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(stream: NodeJS.ReadableStream) {
    stream.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#wake();
    });
    stream.on("close", () => this.#wake());
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString();
  }

  /** Resolves after the next chunk, or the end. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }
}
