import type { Channel } from "@peregrine/transport";
import { processClock } from "./incoming-statistics.ts";

/** What a wait for the stream's next bytes comes to. */
export type Arrival =
  | { readonly kind: "chunk"; readonly bytes: Uint8Array }
  /** The peer has ended the stream. */
  | { readonly kind: "end" }
  /** Nothing came in the time given. */
  | { readonly kind: "quiet" };

/** Reads a channel chunk by chunk, and no chunk before it is asked for. One reader at a time. */
export class ChunkReader {
  readonly #chunks: AsyncGenerator<Uint8Array, void, void>;
  readonly #channel: Pick<Channel, "pass">;
  /** A chunk that was asked for in vain: the next call gets it. */
  #outstanding: Promise<Arrival> | undefined;
  #waitingSince: number | undefined;

  /** @param channel where the chunks come from, behind the first of them. */
  constructor(chunks: AsyncGenerator<Uint8Array, void, void>, channel: Pick<Channel, "pass"> = {}) {
    this.#chunks = chunks;
    this.#channel = channel;
  }

  /** Since when nothing has come although it was asked for; undefined while nobody asks. Of the process's clock. */
  get waitingSince(): number | undefined {
    return this.#waitingSince;
  }

  /** @param patience milliseconds to wait for a byte; without it, for ever. Rejects when the channel fails. */
  async next(patience?: number): Promise<Arrival> {
    this.#outstanding ??= this.#read();
    const arrival =
      patience === undefined ? await this.#outstanding : await within(patience, this.#outstanding);
    if (arrival.kind !== "quiet") this.#outstanding = undefined;
    return arrival;
  }

  /**
   * Behind the first chunk, when {@link next} gave one: gives the chunks that follow to `take` for as long as it returns
   * true. Resolves when `next` has to be asked again, which may be at once. Rejects with what `take` throws.
   */
  async pass(take: (bytes: Uint8Array) => boolean): Promise<void> {
    this.#waitingSince = processClock();
    try {
      await this.#channel.pass?.(take);
    } finally {
      this.#waitingSince = undefined;
    }
  }

  /** Reads to the end and throws it away, also next to a reader that waits. Rejects when the channel fails. */
  async drain(): Promise<void> {
    while ((await this.#chunks.next()).done !== true);
  }

  async #read(): Promise<Arrival> {
    this.#waitingSince = processClock();
    const { done, value } = await this.#chunks.next();
    this.#waitingSince = undefined;
    return done === true ? { kind: "end" } : { kind: "chunk", bytes: value };
  }
}

async function within(milliseconds: number, arrival: Promise<Arrival>): Promise<Arrival> {
  const { promise, resolve } = Promise.withResolvers<Arrival>();
  const timer = setTimeout(resolve, milliseconds, { kind: "quiet" });
  try {
    return await Promise.race([arrival, promise]);
  } finally {
    clearTimeout(timer);
  }
}
