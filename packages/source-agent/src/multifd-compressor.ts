import type { MultifdCompression, StreamCompressor } from "@peregrine/protocol";
import { SpentBuffers } from "@peregrine/transport";
import type { Transform } from "node:stream";
import { constants, createDeflate, createZstdCompress } from "node:zlib";

/** Room for what a packet of pages becomes at worst, so that a write never waits for a read. */
const PACKET_BYTES = 1024 * 1024;

const OPTIONS = { chunkSize: PACKET_BYTES, readableHighWaterMark: PACKET_BYTES };

/** Makes the compressor of one channel. Undefined: pages go as they are. */
export function openCompressor({
  compression,
  level,
}: {
  readonly compression: MultifdCompression;
  readonly level: number;
}): StreamCompressor | undefined {
  if (compression === "none") return undefined;
  return new NodeCompressor(compression, compression === "zlib" ? zlib(level) : zstd(level));
}

function zlib(level: number): Transform {
  return createDeflate({ ...OPTIONS, flush: constants.Z_SYNC_FLUSH, level });
}

function zstd(level: number): Transform {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  return createZstdCompress({ ...OPTIONS, flush: constants.ZSTD_e_flush, params });
}

/** One compressed stream, made by Node's zlib in its thread pool. Everything is flushed behind each write. */
class NodeCompressor implements StreamCompressor {
  readonly compression: Exclude<MultifdCompression, "none">;
  readonly #stream: Transform;
  readonly #spent = new SpentBuffers(PACKET_BYTES);

  constructor(compression: Exclude<MultifdCompression, "none">, stream: Transform) {
    this.compression = compression;
    this.#stream = stream;
    // Whoever writes is told of a failure.
    stream.on("error", () => {});
  }

  async compress(data: Uint8Array): Promise<Uint8Array> {
    this.#spent.free();
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(data, (error) => (error ? reject(error) : resolve()));
    });
    const bytes = this.#stream.read() as Buffer;
    this.#spent.took(bytes);
    return bytes;
  }
}
