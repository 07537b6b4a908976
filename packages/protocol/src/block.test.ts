import * as fc from "fast-check";
import { expect, test } from "vitest";
import { DiskAgain } from "../test/disk-echo.ts";
import { sha256 } from "../test/fixtures.ts";
import { chunked, fromHex, refusal, toHex, written } from "../test/support.ts";
import {
  BLOCK_CHUNK_BYTES,
  BlockDecoder,
  ByteReader,
  encodeBlockChunk,
  encodeBlockEnd,
  encodeBlockProgress,
  encodeZeroBlockChunk,
} from "./index.ts";
import type { ByteWriter } from "./index.ts";

function writeOneOfEach(w: ByteWriter): void {
  encodeZeroBlockChunk(w, "virtio0", 5 * BLOCK_CHUNK_BYTES);
  encodeBlockProgress(w, 50);
  encodeBlockChunk(w, "ide0", 512, new Uint8Array(BLOCK_CHUNK_BYTES).fill(7));
  encodeBlockEnd(w);
}

/** Decodes one payload and writes it again. */
function again(chunks: readonly Uint8Array[]): Uint8Array {
  return written((w) => {
    const decoder = new BlockDecoder(new DiskAgain(w));
    const input = new ByteReader();
    const results = chunks.map((chunk) => {
      input.push(chunk);
      const complete = decoder.decode(input);
      input.detach();
      chunk.fill(0xee);
      return complete;
    });
    expect(results.indexOf(true)).toBe(chunks.length - 1);
    encodeBlockEnd(w);
  });
}

test("the bytes of the records", () => {
  const bytes = written(writeOneOfEach);
  expect(toHex(bytes.subarray(0, 16))).toBe("00000000005000090776697274696f30");
  expect(toHex(bytes.subarray(16, 37))).toBe("000000000000640400000000000002010469646530");
  expect(toHex(bytes.subarray(-8))).toBe("0000000000000002");
});

test("any chunks", () => {
  const bytes = written(writeOneOfEach);
  const sum = sha256(bytes);
  const cuts = fc.array(
    fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: BLOCK_CHUNK_BYTES })),
    {
      maxLength: 60,
    },
  );
  fc.assert(
    fc.property(cuts, (lengths) => {
      expect(sha256(again(chunked(bytes, lengths)))).toBe(sum);
    }),
    { numRuns: 50 },
  );
});

test("every split point of the heads", () => {
  const bytes = written(writeOneOfEach);
  for (let cut = 1; cut < 40; cut += 1) {
    expect(again([bytes.slice(0, cut), bytes.slice(cut)])).toHaveLength(bytes.length);
  }
});

test("decoding stops behind a chunk where it is to, and goes on there", () => {
  const seen: string[] = [];
  const decoder = new BlockDecoder({
    chunk: (disk, offset) => seen.push(`${disk} ${offset}`) === 0,
    zeroChunk: (disk, offset) => seen.push(`${disk} ${offset} zero`) === 0,
    progress: (percent) => seen.push(`${percent} %`),
  });
  const input = new ByteReader();
  input.push(written(writeOneOfEach));
  expect(decoder.decode(input)).toBe(false);
  expect(seen).toEqual([`virtio0 ${5 * BLOCK_CHUNK_BYTES} zero`]);
  expect(decoder.decode(input)).toBe(false);
  expect(seen.slice(1)).toEqual(["50 %", "ide0 512"]);
  expect(decoder.decode(input)).toBe(true);
});

test("what does not fit the format is refused before it is sent", () => {
  const mistakes: readonly ((w: ByteWriter) => void)[] = [
    (w) => encodeBlockChunk(w, "ide0", 0, new Uint8Array(BLOCK_CHUNK_BYTES - 1)),
    (w) => encodeZeroBlockChunk(w, "ide0", 511),
  ];
  for (const mistake of mistakes) expect(refusal(() => written(mistake)).code).toBe("INTERNAL");
});

test("unknown flags are refused", () => {
  expect(refusal(() => again([fromHex("0000000000000010")]))).toMatchObject({
    code: "BAD_SECTION",
    message: "Unknown block migration flags: 0x10",
    offset: 0,
    section: "block",
  });
});
