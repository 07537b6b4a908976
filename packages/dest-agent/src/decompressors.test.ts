import { once } from "node:events";
import { constants, createZstdCompress, deflateSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { openCompressor } from "../../protocol/test/compressors.ts";
import { inflatePage, openDecompressor } from "./decompressors.ts";

/** Bytes that are made at once. */
const CHUNK = 64 * 1024;
/** Of packets: more than one piece of the decompressor's memory together, some of which end with a packet. */
const LENGTHS = [
  4096,
  127 * 4096,
  128 * 4096,
  4096,
  16 * 4096,
  17 * 4096,
  ...Array<number>(9).fill(128 * 4096),
];

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => seed * index + (index >> 8));
}

describe.each(["zlib", "zstd"] as const)("a channel of %s", (compression) => {
  const compressed = (bytes: Uint8Array): Uint8Array =>
    compression === "zlib" ? deflateSync(bytes) : zstdCompressSync(bytes);

  test("is decompressed packet by packet", async () => {
    const compressor = openCompressor(compression);
    const decompressor = openDecompressor(compression);
    for (const [seed, length] of LENGTHS.entries()) {
      const bytes = pattern(length, seed);
      const data = (await compressor.compress(bytes)).slice();
      const result = await decompressor.decompress(data, length);
      expect(Buffer.compare(result, bytes)).toBe(0);
    }
  });

  test.each([1, CHUNK, 256 * CHUNK])("never makes more than it is told to: %i bytes more", async (more) => {
    const data = compressed(new Uint8Array(CHUNK + more));
    await expect(openDecompressor(compression).decompress(data, CHUNK)).rejects.toThrow();
  });

  test("fails for good on damaged data", async () => {
    const decompressor = openDecompressor(compression);
    await expect(decompressor.decompress(pattern(100, 7), 4096)).rejects.toThrow();
    await expect(decompressor.decompress(compressed(new Uint8Array(4096)), 4096)).rejects.toThrow();
  });
});

test("zstd takes no more memory for what its data refers to than the highest level of a sender makes use of", async () => {
  const data = pattern(4096, 3);
  // The kind of frame that a stream without an end has: it says how far back it refers, and not how long it is.
  const frame = async (log: number): Promise<Uint8Array> => {
    const stream = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: log } });
    const first = once(stream, "data");
    stream.write(data);
    stream.flush();
    const [bytes] = (await first) as [Buffer];
    stream.destroy();
    return bytes;
  };
  expect(Buffer.compare(await openDecompressor("zstd").decompress(await frame(25), 4096), data)).toBe(0);
  await expect(openDecompressor("zstd").decompress(await frame(27), 4096)).rejects.toThrow();
});

test("a page is never larger than it may be", () => {
  const page = pattern(4096, 3);
  expect(Buffer.compare(inflatePage(deflateSync(page), 4096), page)).toBe(0);
  expect(() => inflatePage(deflateSync(new Uint8Array(2 ** 25)), 4096)).toThrow();
});
