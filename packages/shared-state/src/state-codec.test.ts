import { readFileSync } from "node:fs";
import { ByteReader, ByteWriter } from "@peregrine/protocol";
import type { VmDeviceDescription } from "@peregrine/protocol";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { everything, everythingValue } from "../test/everything.ts";
import { stateWithValue } from "../test/state-arbitrary.ts";
import { StateDecoder } from "./state-decode.ts";
import { defineState } from "./state-description.ts";
import type { StateDescription, StateValue } from "./state-description.ts";
import { describeState, encodeState } from "./state-encode.ts";
import { describedFields, stateFields } from "./testing/fields.ts";

interface Golden {
  readonly hex: string;
  readonly entry: VmDeviceDescription;
}

const golden = JSON.parse(
  readFileSync(new URL("../test/golden/state.json", import.meta.url), "utf8"),
) as Record<string, Golden>;
const everythingBytes = Uint8Array.from(Buffer.from(golden["everything"]!.hex, "hex"));

function encode(description: StateDescription, value: StateValue): Uint8Array {
  const writer = new ByteWriter();
  encodeState(description, value, writer);
  return writer.view().slice();
}

/** Decodes `pieces`, each in memory that is overwritten as soon as the decoder has seen it. */
function decode(description: StateDescription, pieces: readonly Uint8Array[]): StateDecoder {
  const decoder = new StateDecoder(description);
  const input = new ByteReader();
  for (const [index, piece] of pieces.entries()) {
    const chunk = piece.slice();
    input.push(chunk);
    const done = decoder.decode(input);
    input.detach();
    chunk.fill(0xee);
    expect(done).toBe(index === pieces.length - 1);
  }
  expect(input.available).toBe(0);
  return decoder;
}

const define = (...fields: StateDescription["fields"]) => {
  return () => defineState({ name: "wrong", version: 1, fields });
};

describe("a state description", () => {
  it("makes the bytes and the vmdescription of the golden vector", () => {
    expect(Buffer.from(encode(everything, everythingValue)).toString("hex")).toBe(golden["everything"]!.hex);
    const entry = describeState(everything, everythingValue, 3);
    expect(JSON.parse(JSON.stringify(entry))).toEqual(golden["everything"]!.entry);
  });

  it("reads the golden vector, cut at every point and byte by byte", () => {
    for (let cut = 1; cut < everythingBytes.length; cut++) {
      const pieces = [everythingBytes.subarray(0, cut), everythingBytes.subarray(cut)];
      expect(decode(everything, pieces).value).toEqual(everythingValue);
    }
    const single = Array.from(everythingBytes, (byte) => Uint8Array.of(byte));
    expect(decode(everything, single).value).toEqual(everythingValue);
  });

  it("is described exactly by the vmdescription of the golden vector", () => {
    expect(describedFields(golden["everything"]!.entry, everythingBytes)).toEqual(
      stateFields(everythingValue),
    );
  });

  it("comes back the same, whatever it is and wherever it is cut, and its JSON describes its bytes", () => {
    fc.assert(
      fc.property(stateWithValue, fc.array(fc.nat(), { maxLength: 4 }), ({ description, value }, at) => {
        defineState(structuredClone(description));
        const bytes = encode(description, value);
        const cuts = [...new Set(at.map((cut) => 1 + (cut % bytes.length)))].sort((a, b) => a - b);
        const ends = [...cuts.filter((cut) => cut < bytes.length), bytes.length];
        const pieces = ends.map((end, n) => bytes.subarray(ends[n - 1] ?? 0, end));
        expect(decode(description, pieces).value).toEqual(value);
        const entry = JSON.parse(JSON.stringify(describeState(description, value, 0))) as VmDeviceDescription;
        expect(describedFields(entry, bytes)).toEqual(stateFields(value));
      }),
      { numRuns: 300 },
    );
  });
});

describe("the state decoder", () => {
  const blob = defineState({
    name: "blob",
    version: 1,
    fields: [
      { name: "length", type: "uint64" },
      { name: "bytes", type: "buffer", length: { from: "length", max: 1_000_000 } },
    ],
  });

  it("fills a large buffer piece by piece", () => {
    const bytes = Uint8Array.from({ length: 1_000_000 }, (_, n) => n % 251);
    const encoded = encode(blob, { length: 1_000_000n, bytes });
    const pieces = Array.from({ length: 101 }, (_, n) => encoded.subarray(n * 9999, (n + 1) * 9999));
    expect(decode(blob, pieces).value["bytes"]).toEqual(bytes);
  });

  it("refuses a length above its limit as soon as it is there", () => {
    const input = new ByteReader();
    input.push(Uint8Array.of(0, 0, 0, 0, 0, 0x0f, 0x42, 0x41));
    expect(() => new StateDecoder(blob).decode(input)).toThrow(
      expect.objectContaining({
        code: "LIMIT_EXCEEDED",
        section: "blob",
        message: "the length 1000001 of 'blob.bytes' is more than the limit of 1000000",
      }),
    );
  });

  it("refuses a count above its limit, in a nested structure too", () => {
    const bytes = everythingBytes.slice();
    const at = bytes.indexOf(0x41) - 1;
    bytes[at] = 5;
    const input = new ByteReader();
    input.push(bytes);
    expect(() => new StateDecoder(everything).decode(input)).toThrow("'everything.list[0].text'");
  });

  it("refuses a bool that is neither 0 nor 1", () => {
    const input = new ByteReader();
    input.push(Uint8Array.of(2));
    expect(() => new StateDecoder(everything).decode(input)).toThrow(
      expect.objectContaining({ code: "BAD_SECTION", section: "everything" }),
    );
  });

  it("leaves what follows unread, says what it waits for, and has no value before the end", () => {
    const decoder = new StateDecoder(blob);
    const input = new ByteReader();
    input.push(Uint8Array.of(0, 0, 0, 0, 0, 0, 0));
    expect(decoder.decode(input)).toBe(false);
    expect(decoder.awaiting).toBe("blob.length");
    expect(() => decoder.value).toThrow(expect.objectContaining({ code: "INTERNAL" }));
    input.push(Uint8Array.of(2, 10, 11, 12));
    expect(decoder.decode(input)).toBe(true);
    expect(decoder.decode(input)).toBe(true);
    expect(decoder.value).toEqual({ length: 2n, bytes: Uint8Array.of(10, 11) });
    expect(input.available).toBe(1);
  });
});

describe("the state encoder", () => {
  it("refuses a value that does not fit, naming the field", () => {
    const cases: [Record<string, unknown>, string][] = [
      [{ flag: 1 }, "everything.flag"],
      [{ u8: 256 }, "everything.u8"],
      [{ u8: -1 }, "everything.u8"],
      [{ u8: 1.5 }, "everything.u8"],
      [{ i8: 128 }, "everything.i8"],
      [{ i8: -129 }, "everything.i8"],
      [{ u32: 2 ** 32 }, "everything.u32"],
      [{ u64: 1 }, "everything.u64"],
      [{ u64: 1n << 64n }, "everything.u64"],
      [{ i64: 1n << 63n }, "everything.i64"],
      [{ fixed: Uint8Array.of(1) }, "everything.fixed"],
      [{ fixed: "ab" }, "everything.fixed"],
      [{ length: 2 }, "everything.sized"],
      [{ length: 9, sized: new Uint8Array(9) }, "everything.sized"],
      [{ words: [1, 2] }, "everything.words"],
      [{ words: [1, 2, 70_000] }, "everything.words[2]"],
      [{ words: undefined }, "everything.words"],
      [{ pairs: [{ a: true, b: 0 }, 4] }, "everything.pairs[1]"],
      [{ pairs: [{ a: true, b: 0 }, { a: true }] }, "everything.pairs[1].b"],
    ];
    for (const [wrong, path] of cases) {
      const value = { ...everythingValue, ...wrong } as StateValue;
      expect(() => encode(everything, value)).toThrow(
        expect.objectContaining({
          code: "DEVICE_STATE",
          message: expect.stringContaining(`'${path}'`) as string,
        }),
      );
    }
  });
});

describe("defineState", () => {
  it("refuses descriptions that no bytes can have", () => {
    const wrong = [
      define({ name: "a", type: "bool" }, { name: "a", type: "bool" }),
      define({ name: "b", type: "buffer", length: { from: "n", max: 1 } }, { name: "n", type: "uint8" }),
      define({ name: "n", type: "int8" }, { name: "b", type: "buffer", length: { from: "n", max: 1 } }),
      define({ name: "b", type: "buffer", length: -1 }),
      define(
        { name: "n", type: "uint8" },
        { name: "b", type: "buffer", length: { from: "n", max: Infinity } },
      ),
      define({ name: "a", type: "array", count: 4, of: { name: "empty", version: 1, fields: [] } }),
    ];
    for (const run of wrong) expect(run).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  });

  it("refuses endless nesting", () => {
    let description: StateDescription = { name: "leaf", version: 1, fields: [] };
    for (let n = 0; n < 9; n++) {
      description = {
        name: "node",
        version: 1,
        fields: [{ name: "x", type: "struct", struct: description }],
      };
    }
    expect(() => defineState(description)).toThrow("nests deeper than 8 levels");
  });
});
