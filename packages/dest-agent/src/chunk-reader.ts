import type { Interruption } from "./interruption.ts";

/** What a wait for the stream's next bytes comes to. */
export type Arrival =
  | { readonly kind: "chunk"; readonly bytes: Uint8Array }
  /** The peer has ended the stream. */
  | { readonly kind: "end" }
  /** Nothing came in the time given. Nothing can be read any more but by {@link ChunkReader.drain}. */
  | { readonly kind: "quiet" };

/** Reads a channel chunk by chunk, and no chunk before it is asked for. */
export class ChunkReader {
  readonly #chunks: AsyncGenerator<Uint8Array, void, void>;
  readonly #interruption: Interruption;

  constructor(chunks: AsyncGenerator<Uint8Array, void, void>, interruption: Interruption) {
    this.#chunks = chunks;
    this.#interruption = interruption;
  }

  /** @param patience milliseconds to wait for a byte; without it, for ever. */
  async next(patience?: number): Promise<Arrival> {
    const next = this.#chunks
      .next()
      .then(({ done, value }): Arrival =>
        done === true ? { kind: "end" } : { kind: "chunk", bytes: value },
      );
    if (patience === undefined) return this.#interruption.wait(next);
    let timer: NodeJS.Timeout | undefined;
    const quiet = new Promise<Arrival>((resolve) => {
      timer = setTimeout(resolve, patience, { kind: "quiet" });
    });
    try {
      return await this.#interruption.wait(Promise.race([next, quiet]));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Reads to the end and throws it away. Rejects when the channel fails. */
  async drain(): Promise<void> {
    while ((await this.#chunks.next()).done !== true);
  }
}
