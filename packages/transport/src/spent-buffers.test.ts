import { constants, createZstdCompress } from "node:zlib";
import { expect, test } from "vitest";
import { SpentBuffers } from "./spent-buffers.ts";

test("memory is freed when it is full and what was read is done with, and no other is", () => {
  const spent = new SpentBuffers(100);
  const full = new ArrayBuffer(100);
  const [begun, other, shared] = [new ArrayBuffer(100), new ArrayBuffer(90), new SharedArrayBuffer(100)];
  spent.took(new Uint8Array(full, 0, 60));
  spent.free();
  expect(full.byteLength).toBe(100);
  spent.took(new Uint8Array(full, 60, 40));
  spent.took(new Uint8Array(begun, 0, 99));
  spent.took(new Uint8Array(other));
  spent.took(new Uint8Array(shared));
  expect(full.byteLength).toBe(100);
  spent.free();
  expect([full, begun, other, shared].map(({ byteLength }) => byteLength)).toEqual([0, 100, 90, 100]);
});

test("a stream of Node's goes on in other memory when one is full", async () => {
  const chunkSize = 64 * 1024;
  const spent = new SpentBuffers(chunkSize);
  const flush = constants.ZSTD_e_flush;
  const options = { chunkSize, readableHighWaterMark: chunkSize, flush };
  const stream = createZstdCompress(options);
  const memories = new Set<ArrayBufferLike>();
  const take = (): void => {
    for (let piece = stream.read() as Buffer | null; piece !== null; piece = stream.read() as Buffer | null) {
      memories.add(piece.buffer);
      spent.took(piece);
    }
  };
  stream.on("readable", take);
  for (let n = 0; n < 100; n++) {
    spent.free();
    await new Promise((resolve) => stream.write(crypto.getRandomValues(new Uint8Array(chunkSize)), resolve));
    take();
  }
  spent.free();
  const left = [...memories].filter(({ byteLength }) => byteLength > 0);
  expect(memories.size).toBeGreaterThan(100);
  expect(left.length).toBeLessThan(10);
});
