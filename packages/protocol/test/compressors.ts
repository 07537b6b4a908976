import type { Transform } from "node:stream";
import { constants, createDeflate, createZstdCompress } from "node:zlib";
import type { StreamCompressor } from "../src/index.ts";

/** More than a packet of pages becomes, so that a write never waits for a read. */
const READABLE_BYTES = 2 * 1024 * 1024;

/** One compressed stream, made by Node's zlib. */
export function openCompressor(compression: "zlib" | "zstd"): StreamCompressor {
  const options = { readableHighWaterMark: READABLE_BYTES };
  const stream: Transform =
    compression === "zlib"
      ? createDeflate({ ...options, flush: constants.Z_SYNC_FLUSH })
      : createZstdCompress({ ...options, flush: constants.ZSTD_e_flush });
  return {
    compression,
    compress: async (data) => {
      await new Promise<void>((resolve, reject) => {
        stream.write(data, (error) => (error ? reject(error) : resolve()));
      });
      return (stream.read() as Buffer | null) ?? new Uint8Array(0);
    },
  };
}
