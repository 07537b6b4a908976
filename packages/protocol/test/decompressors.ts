import type { Transform } from "node:stream";
import { createInflate, createZstdDecompress } from "node:zlib";
import type { StreamDecompressor } from "../src/index.ts";

/** More than a packet of pages has, so that a write never waits for a read. */
const READABLE_BYTES = 1024 * 1024;

/** One compressed stream, undone by Node's zlib. */
class NodeDecompressor implements StreamDecompressor {
  readonly #stream: Transform;
  readonly #failed: Promise<never>;

  constructor(stream: Transform) {
    this.#stream = stream;
    this.#failed = new Promise((_, reject) => {
      stream.once("error", reject);
    });
    this.#failed.catch(() => {});
  }

  async decompress(data: Uint8Array, size: number): Promise<Uint8Array> {
    const written = new Promise<void>((resolve) => {
      this.#stream.write(data, () => resolve());
    });
    await Promise.race([written, this.#failed]);
    const bytes = new Uint8Array(size);
    let at = 0;
    for (;;) {
      const piece = this.#stream.read() as Buffer | null;
      if (piece === null) return bytes.subarray(0, at);
      bytes.set(piece, at);
      at += piece.length;
    }
  }
}

export function openDecompressor(compression: "zlib" | "zstd"): StreamDecompressor {
  const options = { chunkSize: 64 * 1024, readableHighWaterMark: READABLE_BYTES };
  return new NodeDecompressor(
    compression === "zlib" ? createInflate(options) : createZstdDecompress(options),
  );
}
