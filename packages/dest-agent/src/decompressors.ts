import type { MultifdChannelOptions, StreamDecompressor } from "@peregrine/protocol";
import { SpentBuffers } from "@peregrine/transport";
import type { Transform } from "node:stream";
import { constants, createInflate, createZstdDecompress, inflateSync } from "node:zlib";

/**
 * Bytes that are decompressed at once: each time is a way to another thread and back. A packet has half of it at most, and
 * data that is more than it says makes no more than this.
 */
const CHUNK_BYTES = 1024 * 1024;

/**
 * log2 of how far back zstd's data may refer, which is kept in memory for each channel: 32 MiB, as much as the highest level
 * that a sender can choose makes use of. A stream says itself how much it wants.
 */
const ZSTD_WINDOW_LOG = 25;

/** One compressed stream, from the first packet of a channel to its last. */
class ChannelDecompressor implements StreamDecompressor {
  readonly #stream: Transform;
  readonly #failed: Promise<never>;
  /** What the present packet has become so far; more than one where the decompressor has begun another buffer. */
  readonly #pieces: Buffer[] = [];
  readonly #spent = new SpentBuffers(CHUNK_BYTES);
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
    this.#size = size;
    this.#length = 0;
    this.#pieces.length = 0;
    this.#spent.free();
    const written = new Promise<void>((resolve) => {
      this.#stream.write(data, () => resolve());
    });
    await Promise.race([written, this.#failed]);
    this.#take();
    if (this.#tooLong) throw new Error(`it decompresses to more than ${size} bytes`);
    return this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
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
      this.#spent.took(piece);
      this.#pieces.push(piece);
      this.#length += piece.length;
    }
  }
}

/** Undoes the compression of a multifd channel. */
export const openDecompressor: NonNullable<MultifdChannelOptions["openDecompressor"]> = (compression) => {
  const options = { chunkSize: CHUNK_BYTES, readableHighWaterMark: CHUNK_BYTES };
  return new ChannelDecompressor(
    compression === "zlib"
      ? createInflate(options)
      : createZstdDecompress({ ...options, params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } }),
  );
};

/** Undoes the compression of one page. Throws when that is more than `size` bytes. */
export function inflatePage(data: Uint8Array, size: number): Uint8Array {
  return inflateSync(data, { maxOutputLength: size });
}
