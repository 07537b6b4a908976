import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chunked, fromHex, refusal, toHex, written } from "../test/support.ts";
import { ByteReader, DEFAULT_LIMITS, DirtyBitmapDecoder, DirtyBitmapEncoder } from "./index.ts";
import type { DirtyBitmapRecord } from "./index.ts";

function decode(chunks: readonly Uint8Array[], sections = 1): DirtyBitmapRecord[] {
  const records: DirtyBitmapRecord[] = [];
  const decoder = new DirtyBitmapDecoder({
    limits: DEFAULT_LIMITS,
    record: (one) => {
      records.push("bits" in one && one.bits !== undefined ? { ...one, bits: one.bits.slice() } : one);
    },
  });
  const input = new ByteReader();
  let ended = 0;
  for (const chunk of chunks) {
    input.push(chunk);
    while (decoder.decode(input)) ended += 1;
    input.detach();
    chunk.fill(0xee);
  }
  expect(input.available).toBe(0);
  expect(ended).toBe(sections);
  return records;
}

const disk = { node: "drive0", bitmap: "b0" };
const START: DirtyBitmapRecord = {
  ...disk,
  kind: "start",
  granularity: 65_536,
  enabled: true,
  persistent: true,
  autoload: false,
};
const BITS: DirtyBitmapRecord = {
  ...disk,
  kind: "bits",
  startSector: 0x800,
  sectors: 0x400,
  bits: new Uint8Array(32).fill(0xa5),
};
const CLEAR: DirtyBitmapRecord = { ...disk, kind: "bits", startSector: 0, sectors: 0x800, bits: undefined };
const OTHER: DirtyBitmapRecord = { node: "drive0", bitmap: "b1", kind: "complete" };
const COMPLETE: DirtyBitmapRecord = { ...disk, kind: "complete" };
const ALL = [START, CLEAR, BITS, COMPLETE, OTHER];

function encoded(records: readonly DirtyBitmapRecord[]): Uint8Array {
  return written((w) => {
    const encoder = new DirtyBitmapEncoder();
    for (const one of records) encoder.record(w, one);
    encoder.endOfSection(w);
  });
}

test("the bytes of each record; names come when they change", () => {
  const expected = [
    "1c 06 647269766530 02 6230 00010000 03",
    "42 0000000000000000 00000800",
    `40 0000000000000800 00000400 0000000000000020 ${"a5".repeat(32)}`,
    "20",
    "24 02 6231",
    "01",
  ];
  expect(toHex(encoded(ALL))).toBe(expected.join("").replaceAll(" ", ""));
});

test("every split point", () => {
  const bytes = encoded(ALL);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    expect(decode([bytes.slice(0, cut), bytes.slice(cut)])).toEqual(ALL);
  }
});

test("flags of two and of four bytes, in one piece and byte by byte", () => {
  const tail = "06647269766530026230";
  for (const [hex, sections] of [
    [`802c${tail}01`, 1],
    [`8080002c${tail}800101`, 2],
  ] as const) {
    const bytes = fromHex(hex);
    expect(decode([bytes.slice()], sections)).toEqual([COMPLETE]);
    expect(
      decode(
        Array.from(bytes, (byte) => Uint8Array.of(byte)),
        sections,
      ),
    ).toEqual([COMPLETE]);
  }
});

test("any records in any chunks come back", () => {
  const name = fc.record({ node: fc.constantFrom("a", "b", "c"), bitmap: fc.constantFrom("x", "y") });
  const be32 = fc.nat(0xffff_ffff);
  const body = fc.oneof(
    fc.record({
      kind: fc.constant("start" as const),
      granularity: be32,
      enabled: fc.boolean(),
      persistent: fc.boolean(),
      autoload: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant("bits" as const),
      startSector: fc.maxSafeNat(),
      sectors: be32,
      bits: fc.option(fc.uint8Array({ maxLength: 96 }), { nil: undefined }),
    }),
    fc.constant({ kind: "complete" as const }),
  );
  const record = fc.tuple(name, body).map(([one, rest]): DirtyBitmapRecord => ({ ...one, ...rest }));
  fc.assert(
    fc.property(fc.array(record), fc.array(fc.integer({ min: 1, max: 40 })), (records, cuts) => {
      expect(decode(chunked(encoded(records), cuts))).toEqual(records);
    }),
  );
});

describe("refused, with the offset of the record", () => {
  const start = "1c06647269766530026230";
  test.each([
    ["no kind", "0c", 0, "BAD_SECTION", "Unknown dirty bitmap flags: 0xc"],
    ["two kinds", "30", 0, "BAD_SECTION", "Unknown dirty bitmap flags: 0x30"],
    ["flags beyond the first byte", "81800020", 0, "BAD_SECTION", "Unknown dirty bitmap flags: 0x20"],
    ["no bitmap", "40", 0, "BAD_SECTION", "A dirty bitmap record names no bitmap"],
    ["an end with names", "0d", 0, "BAD_SECTION", "The end of a dirty bitmap section has other flags"],
    [
      "a start of clear bits",
      "12",
      0,
      "BAD_SECTION",
      "A dirty bitmap record without bits says that they are clear",
    ],
    ["unknown start flags", `${start}0001000008`, 0, "BAD_SECTION", "Unknown flags of a dirty bitmap: 0x8"],
    [
      "bits above the limit",
      `${start}0001000000400000000000000000000000000000000004000001`,
      16,
      "LIMIT_EXCEEDED",
      "67108865 bytes of dirty bitmap are more than the limit of 67108864",
    ],
  ])("%s", (_name, hex, offset, code, message) => {
    expect(refusal(() => decode([fromHex(hex)]))).toMatchObject({ code, message, offset });
  });
});
