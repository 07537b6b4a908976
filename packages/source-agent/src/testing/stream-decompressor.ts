import type { StreamDecompressor } from "@peregrine/protocol";
import type { Transform } from "node:stream";
import { createInflate, createZstdDecompress } from "node:zlib";

/** More than a packet of pages has, so that a write never waits for a read. */
const OPTIONS = { chunkSize: 64 * 1024, readableHighWaterMark: 1024 * 1024 };

/** Undoes the compression of one multifd channel. */
export function openDecompressor(compression: "zlib" | "zstd"): StreamDecompressor {
  const stream: Transform = compression === "zlib" ? createInflate(OPTIONS) : createZstdDecompress(OPTIONS);
  return {
    decompress: async (data) => {
      await new Promise<void>((resolve, reject) => {
        stream.write(data, (error) => (error ? reject(error) : resolve()));
      });
      return (stream.read() as Buffer | null) ?? new Uint8Array(0);
    },
  };
}
