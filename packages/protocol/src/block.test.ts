import * as fc from "fast-check";
import { expect, test } from "vitest";
import { fixture, fixtureFile, noRecordings, sha256 } from "../test/fixtures.ts";
import { chunked, fromHex, refusal, toHex, written } from "../test/support.ts";
import { WholeEcho } from "../test/whole-echo.ts";
import { CHUNKS, decodeWhole, mainChannel, requireSame } from "../test/whole-streams.ts";
import {
  BLOCK_CHUNK_BYTES,
  BLOCK_SECTION,
  BlockDecoder,
  ByteReader,
  encodeBlockChunk,
  encodeBlockEnd,
  encodeBlockProgress,
  encodeZeroBlockChunk,
} from "./index.ts";
import type { BlockSink, ByteWriter, PayloadDecoder, SectionHeader } from "./index.ts";

/** Writes its calls again. */
class Again implements BlockSink {
  readonly w: ByteWriter;
  readonly offsets: number[] = [];
  readonly percents: number[] = [];
  readonly disk = new Uint8Array(8 * BLOCK_CHUNK_BYTES);

  constructor(w: ByteWriter) {
    this.w = w;
  }

  chunk(disk: string, offset: number, bytes: Uint8Array): void {
    this.offsets.push(offset);
    this.disk.set(bytes, offset);
    encodeBlockChunk(this.w, disk, offset, bytes);
  }

  zeroChunk(disk: string, offset: number): void {
    this.offsets.push(offset);
    this.disk.fill(0, offset, offset + BLOCK_CHUNK_BYTES);
    encodeZeroBlockChunk(this.w, disk, offset);
  }

  progress(percent: number): void {
    this.percents.push(percent);
    encodeBlockProgress(this.w, percent);
  }
}

class EchoWithDisk extends WholeEcho {
  readonly disk = new Again(this.w);
  readonly #blocks = new BlockDecoder(this.disk);

  protected override live(header: SectionHeader): PayloadDecoder {
    return header.name === BLOCK_SECTION.name ? this.#blocks : super.live(header);
  }

  override close(header: SectionHeader): void {
    if (header.name === BLOCK_SECTION.name) encodeBlockEnd(this.w);
    super.close(header);
  }
}

test.skipIf(noRecordings).each(Object.keys(CHUNKS))(
  "a disk moved by a real QEMU, in chunks of %s",
  (chunks) => {
    const of = fixture("pc-72-block");
    const bytes = mainChannel(of);
    const echo = new EchoWithDisk(true);
    decodeWhole(bytes, echo, CHUNKS[chunks]!);
    requireSame(of, bytes, echo);
    const disk = fixtureFile(of, "pc-72-block.disk.zst");
    expect(sha256(echo.disk.disk.subarray(0, disk.length))).toBe(sha256(disk));
    expect(echo.disk.offsets).toEqual([0, 1, 2, 3].map((chunk) => chunk * BLOCK_CHUNK_BYTES));
    expect(echo.disk.percents.at(-1)).toBe(100);
  },
);

function writeOneOfEach(w: ByteWriter): void {
  encodeZeroBlockChunk(w, "virtio0", 5 * BLOCK_CHUNK_BYTES);
  encodeBlockProgress(w, 50);
  encodeBlockChunk(w, "ide0", 512, new Uint8Array(BLOCK_CHUNK_BYTES).fill(7));
  encodeBlockEnd(w);
}

/** Decodes one payload and writes it again. */
function again(chunks: readonly Uint8Array[]): Uint8Array {
  return written((w) => {
    const decoder = new BlockDecoder(new Again(w));
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

test("unknown flags are refused", () => {
  expect(refusal(() => again([fromHex("0000000000000010")]))).toMatchObject({
    code: "BAD_SECTION",
    message: "Unknown block migration flags: 0x10",
    offset: 0,
    section: "block",
  });
});
