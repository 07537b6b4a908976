import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fixture, fixtureFile, noRecordings } from "../test/fixtures.ts";
import { chunked, fromHex, refusal, written } from "../test/support.ts";
import { DEFAULT_LIMITS, encodeReturnMessage, ReturnPathDecoder } from "./index.ts";
import type { ReturnMessage } from "./index.ts";

function decode(chunks: readonly Uint8Array[]): ReturnMessage[] {
  const messages: ReturnMessage[] = [];
  const decoder = new ReturnPathDecoder({ limits: DEFAULT_LIMITS, message: (one) => messages.push(one) });
  for (const chunk of chunks) {
    decoder.push(chunk);
    chunk.fill(0xee);
  }
  decoder.end();
  return messages;
}

const PONG_AND_SHUT: readonly ReturnMessage[] = [
  { kind: "pong", value: 1 },
  { kind: "shut", status: 0 },
];

test.skipIf(noRecordings).for(["pc-72-retpath", "pc-100-retpath"])(
  "what a real destination answered: %s",
  (name) => {
    expect(decode([fixtureFile(fixture(name), `${name}.c0.back`).slice()])).toEqual(PONG_AND_SHUT);
  },
);

test("every split point", () => {
  const bytes = written((w) => {
    for (const message of PONG_AND_SHUT) encodeReturnMessage(w, message);
  });
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    expect(decode([bytes.slice(0, cut), bytes.slice(cut)])).toEqual(PONG_AND_SHUT);
  }
});

test("any messages in any chunks come back", () => {
  const be32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const message = fc.oneof(
    be32.map((status): ReturnMessage => ({ kind: "shut", status })),
    be32.map((value): ReturnMessage => ({ kind: "pong", value })),
  );
  fc.assert(
    fc.property(fc.array(message), fc.array(fc.integer({ min: 1, max: 20 })), (messages, cuts) => {
      const bytes = written((w) => {
        for (const one of messages) encodeReturnMessage(w, one);
      });
      expect(decode(chunked(bytes, cuts))).toEqual(messages);
    }),
  );
});

describe("refused, with the offset of the message", () => {
  const good = "0002000400000001";
  test.each([
    ["an unknown type", "00090000", "BAD_RETURN_MESSAGE", "Unknown return path message type 9 (byte 8)"],
    ["type 0", "00000004", "BAD_RETURN_MESSAGE", "Unknown return path message type 0 (byte 8)"],
    [
      "a wrong length",
      "00010008",
      "BAD_RETURN_MESSAGE",
      "Message SHUT has a payload of 8 bytes instead of 4 (byte 8)",
    ],
    [
      "a length above the limit",
      "00020201",
      "LIMIT_EXCEEDED",
      "513 bytes of return path message are more than the limit of 512 (byte 8)",
    ],
  ])("%s", (_name, hex, code, message) => {
    expect(refusal(() => decode([fromHex(good + hex)]))).toMatchObject({ code, message, offset: 8 });
  });

  test("a message cut short", () => {
    const message =
      "The stream ended where the rest of a return path message was expected: Input/output error (byte 11)";
    expect(refusal(() => decode([fromHex(`${good}000100`)]))).toMatchObject({
      code: "TRUNCATED",
      message,
      offset: 11,
    });
  });

  test("and nothing is accepted afterwards", () => {
    const decoder = new ReturnPathDecoder({ limits: DEFAULT_LIMITS, message: () => {} });
    const first = refusal(() => decoder.push(fromHex("00090000")));
    expect(refusal(() => decoder.push(fromHex(good)))).toBe(first);
  });
});
