import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeMessage, encodeMessage } from "./message-pack.ts";

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(" ", ""), "hex");

function refusal(reason: RegExp): unknown {
  return expect.objectContaining({ code: "BAD_COMMAND", message: expect.stringMatching(reason) });
}

describe("a message", () => {
  test.each([
    ["80", {}],
    ["81 a7 65786563757465 a4 73746f70", { execute: "stop" }],
    ["82 a1 61 c0 a1 62 93 c2 c3 e0", { a: null, b: [false, true, -32] }],
    ["cf 0000 0001 0000 0000", 2 ** 32],
    ["cb 3ff8 0000 0000 0000", 1.5],
  ])("%s is understood", (bytes, value) => {
    expect(decodeMessage(hex(bytes))).toEqual(value);
  });

  test("is written as any reader understands it", () => {
    expect(Buffer.from(encodeMessage({ execute: "stop" })).toString("hex")).toBe(
      "81a765786563757465a473746f70",
    );
    expect(Buffer.from(encodeMessage(2 ** 40)).toString("hex")).toBe("cb4270000000000000");
  });

  test("is the same behind the wire, whatever JSON can say", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const json = JSON.parse(JSON.stringify(value).replaceAll("__proto__", "proto")) as unknown;
        expect(decodeMessage(encodeMessage(json))).toEqual(json);
      }),
    );
  });

  test.each([
    ["nothing", "", /^MessagePack parse error, /u],
    ["half a map", "82 a1 61 c0", /^MessagePack parse error, /u],
    ["two values", "80 80", /^MessagePack parse error, /u],
    ["an array of 4 billion without its elements", "dd ffff ffff", /^MessagePack parse error, /u],
    ["a map of 4 billion without its entries", "df ffff ffff", /^MessagePack parse error, /u],
    ["a string of 4 GB without its bytes", "db ffff ffff", /^MessagePack parse error, /u],
    ["bytes", "c4 01 00", /has more than maps/u],
    ["a time stamp", "d6 ff 0000 0001", /has more than maps/u],
    ["an extension nobody knows", "d4 11 00", /^MessagePack parse error, /u],
    ["NaN", "cb 7ff8 0000 0000 0000", /has more than maps/u],
    ["undefined", "d4 00 00", /has more than maps/u],
    ["too many arrays in each other", `${"91".repeat(1025)}c0`, /nested too deeply/u],
    ["so many that a stack cannot hold them", `${"91".repeat(60_000)}c0`, /^MessagePack parse error, /u],
  ])("that is %s is refused", (_, bytes, reason) => {
    expect(() => decodeMessage(hex(bytes))).toThrow(refusal(reason));
  });

  test("of any bytes is understood or refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          JSON.stringify(decodeMessage(bytes));
        } catch (error) {
          expect(error).toEqual(refusal(/^MessagePack parse error, /u));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
