import type { MultifdChannelOptions, StreamDecompressor } from "@peregrine/protocol";
import type { Transform } from "node:stream";
import { createInflate, createZstdDecompress, inflateSync } from "node:zlib";

/** Bytes that are decompressed at once. */
const CHUNK_BYTES = 64 * 1024;

/** One compressed stream, from the first packet of a channel to its last. */
class ChannelDecompressor implements StreamDecompressor {
  readonly #stream: Transform;
  readonly #failed: Promise<never>;
  #output = new Uint8Array(0);
  #size = 0;
  #length = 0;
  #tooLong = false;

  constructor(stream: Transform) {
    this.#stream = stream;
    this.#failed = new Promise((_, reject) => {
      stream.once("error", reject);
    });
    // It may fail between two packets.
    this.#failed.catch(() => {});
    stream.on("readable", () => this.#take());
  }

  async decompress(data: Uint8Array, size: number): Promise<Uint8Array> {
    if (this.#output.length < size) this.#output = new Uint8Array(size);
    this.#size = size;
    this.#length = 0;
    const written = new Promise<void>((resolve) => {
      this.#stream.write(data, () => resolve());
    });
    await Promise.race([written, this.#failed]);
    this.#take();
    if (this.#tooLong) throw new Error(`it decompresses to more than ${size} bytes`);
    return this.#output.subarray(0, this.#length);
  }

  /** Takes what is decompressed so far. When it is more than it may be, no more of it is made. */
  #take(): void {
    for (;;) {
      const piece = this.#stream.read() as Buffer | null;
      if (piece === null) return;
      if (this.#length + piece.length > this.#size) {
        this.#tooLong = true;
        this.#stream.destroy();
        return;
      }
      this.#output.set(piece, this.#length);
      this.#length += piece.length;
    }
  }
}

/** Undoes the compression of a multifd channel. */
export const openDecompressor: NonNullable<MultifdChannelOptions["openDecompressor"]> = (compression) => {
  const options = { chunkSize: CHUNK_BYTES };
  return new ChannelDecompressor(
    compression === "zlib" ? createInflate(options) : createZstdDecompress(options),
  );
};

/** Undoes the compression of one page. Throws when that is more than `size` bytes. */
export function inflatePage(data: Uint8Array, size: number): Uint8Array {
  return inflateSync(data, { maxOutputLength: size });
}
