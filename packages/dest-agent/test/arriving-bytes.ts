import type { Scattering } from "@peregrine/transport";

const PLACE_BYTES = 16;
/** Between where two memories begin, as a vector has it. */
const APART = 2 ** 40;

/** The bytes of a connection that come little by little, and can be read to several places as a socket's can. */
export class ArrivingBytes implements Scattering {
  /** Bytes that were read to several places. */
  scattered = 0;
  /** Reads to several places for which nothing had come: a socket's may wait. */
  inVain = 0;
  readonly #bytes: Uint8Array;
  readonly #sizes: readonly number[];
  readonly #mostChunk: number;
  readonly #memories: Uint8Array[] = [];
  readonly #ended: Promise<void>;
  #turn = 0;
  #at = 0;
  /** Behind what has come. */
  #end = 0;
  #bound = Infinity;

  /**
   * @param sizes of what comes at once, one after the other and from the first again.
   * @param mostChunk bytes that a chunk has at most.
   * @param isKeptOpen whether the peer does not end the stream.
   */
  constructor(bytes: Uint8Array, sizes: readonly number[], mostChunk: number, isKeptOpen = true) {
    this.#bytes = bytes;
    this.#sizes = sizes;
    this.#mostChunk = mostChunk;
    this.#ended = isKeptOpen ? new Promise(() => {}) : Promise.resolve();
  }

  addressOf(memory: Uint8Array): number {
    this.#memories.push(memory);
    return this.#memories.length * APART;
  }

  read(vector: Uint8Array): number {
    const view = new DataView(vector.buffer, vector.byteOffset, vector.byteLength);
    const before = this.#at;
    for (let entry = 0; entry < vector.length && this.#at < this.#end; entry += PLACE_BYTES) {
      const address = Number(view.getBigUint64(entry, true));
      const memory = this.#memories[Math.floor(address / APART) - 1]!;
      memory.set(this.#take(Number(view.getBigUint64(entry + 8, true))), address % APART);
    }
    this.scattered += this.#at - before;
    if (this.#at === before) this.inVain++;
    return this.#at - before;
  }

  boundNext(bytes: number): void {
    if (!(bytes >= 1)) throw new Error(`no chunk can have ${bytes} bytes`);
    this.#bound = bytes;
  }

  /** As `Channel.read`. */
  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    for (let chunk = this.#chunk(); chunk !== undefined; chunk = this.#chunk()) yield chunk;
    await this.#ended;
  }

  /** As `Channel.pass`. */
  async pass(take: (bytes: Uint8Array) => boolean): Promise<void> {
    for (let chunk = this.#chunk(); chunk !== undefined; chunk = this.#chunk()) {
      if (!take(chunk)) return;
      chunk.fill(0xee);
    }
    await this.#ended;
  }

  #chunk(): Uint8Array | undefined {
    if (this.#at === this.#end) {
      const size = this.#sizes[this.#turn++ % this.#sizes.length]!;
      this.#end = Math.min(this.#at + size, this.#bytes.length);
    }
    if (this.#at === this.#end) return undefined;
    const bound = Math.min(this.#bound, this.#mostChunk);
    this.#bound = Infinity;
    return new Uint8Array(this.#take(bound));
  }

  #take(most: number): Uint8Array {
    const from = this.#at;
    this.#at = Math.min(from + most, this.#end);
    return this.#bytes.subarray(from, this.#at);
  }
}
