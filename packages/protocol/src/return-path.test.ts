import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fixture, fixtureFile, noRecordings } from "../test/fixtures.ts";
import { chunked, fromHex, refusal, toHex, written } from "../test/support.ts";
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

test.skipIf(noRecordings)("what a real destination answered to postcopy, with requests for pages", () => {
  const recorded = Uint8Array.from(fixtureFile(fixture("pc-100-postcopy"), "pc-100-postcopy.c0.back"));
  const messages = decode([recorded.slice()]);
  expect(messages).toEqual([
    ...[1, 2, 4, 3].map((value) => ({ kind: "pong", value })),
    { kind: "request-pages", block: "pc.ram", start: 0x53_0000, length: 4096 },
    { kind: "request-pages", start: 0x54_8000, length: 4096 },
    { kind: "request-pages", start: 0x57_f000, length: 4096 },
    { kind: "shut", status: 0 },
  ]);
  const again = written((w) => messages.forEach((message) => encodeReturnMessage(w, message)));
  expect(toHex(again)).toBe(toHex(recorded));
});

const ONE_OF_EACH: readonly ReturnMessage[] = [
  { kind: "pong", value: 1 },
  { kind: "request-pages", block: "pc.ram", start: 4096, length: 8192 },
  { kind: "request-pages", start: 0, length: 4096 },
  { kind: "recv-bitmap", block: "pc.ram", bitmap: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
  { kind: "resume-ack", value: 1 },
  { kind: "switchover-ack" },
  { kind: "loaded", migration: "00112233445566778899aabbccddeeff" },
  { kind: "alive" },
  { kind: "reason", text: "the disk is full: \u{1f4be}" },
  { kind: "shut", status: 0 },
];

test("every split point", () => {
  const bytes = written((w) => {
    for (const message of ONE_OF_EACH) encodeReturnMessage(w, message);
  });
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    expect(decode([bytes.slice(0, cut), bytes.slice(cut)])).toEqual(ONE_OF_EACH);
  }
});

test("the bytes of a bitmap of received pages", () => {
  const message: ReturnMessage = { kind: "recv-bitmap", block: "m", bitmap: new Uint8Array(8).fill(0xf0) };
  expect(toHex(written((w) => encodeReturnMessage(w, message)))).toBe(
    "00050002016d0000000000000008" + "f0".repeat(8) + "0123456789abcdef",
  );
});

test("our own messages", () => {
  const bytes = (message: ReturnMessage): string => toHex(written((w) => encodeReturnMessage(w, message)));
  expect(bytes({ kind: "loaded", migration: "00112233445566778899aabbccddeeff" })).toBe(
    "5045001000112233445566778899aabbccddeeff",
  );
  expect(bytes({ kind: "alive" })).toBe("50460000");
  expect(bytes({ kind: "reason", text: "no" })).toBe("504700026e6f");
});

test("a long reason is cut between two characters, and one that is no text is shown as far as it is", () => {
  const [long] = decode([written((w) => encodeReturnMessage(w, { kind: "reason", text: "é".repeat(300) }))]);
  expect(long).toEqual({ kind: "reason", text: "é".repeat(256) });
  expect(decode([fromHex("504700036eff6f")])).toEqual([{ kind: "reason", text: "n\ufffdo" }]);
});

test("any messages in any chunks come back", () => {
  const be32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const message = fc.oneof(
    be32.map((status): ReturnMessage => ({ kind: "shut", status })),
    be32.map((value): ReturnMessage => ({ kind: "pong", value })),
    be32.map((value): ReturnMessage => ({ kind: "resume-ack", value })),
    fc.constant<ReturnMessage>({ kind: "switchover-ack" }),
    fc
      .record({ start: fc.maxSafeNat(), length: be32 })
      .map((range): ReturnMessage => ({ kind: "request-pages", ...range })),
    fc
      .record({ block: fc.string({ maxLength: 60 }), start: fc.maxSafeNat(), length: be32 })
      .map((range): ReturnMessage => ({ kind: "request-pages", ...range })),
    fc
      .record({
        block: fc.string({ maxLength: 60 }),
        words: fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
      })
      .map(({ block, words }): ReturnMessage => {
        const bitmap = new Uint8Array(BigUint64Array.from(words).buffer);
        return { kind: "recv-bitmap", block, bitmap };
      }),
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
      "a request without its block",
      "0003000c" + "00".repeat(12),
      "BAD_RETURN_MESSAGE",
      "Message REQ_PAGES_ID does not end with a block name (byte 8)",
    ],
    [
      "a block name with something behind it",
      "00050003016d00",
      "BAD_RETURN_MESSAGE",
      "Message RECV_BITMAP does not end with a block name (byte 8)",
    ],
    [
      "a bitmap of a length that is not padded",
      "00050002016d0000000000000007",
      "BAD_RETURN_MESSAGE",
      "A bitmap of 7 bytes is not padded to 8 (byte 8)",
    ],
    [
      "a bitmap above the limit",
      "00050002016d0000000004000008",
      "LIMIT_EXCEEDED",
      "67108872 bytes of bitmap are more than the limit of 67108864 (byte 8)",
    ],
    [
      "a bitmap without its end mark",
      "00050002016d" + "00".repeat(8) + "0123456789abcdee",
      "BAD_RETURN_MESSAGE",
      "The bitmap of 'm' has no end mark (byte 8)",
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

  test.each([
    [
      "0003000e0020000000000000000010000161",
      "LIMIT_EXCEEDED",
      12,
      "the 64-bit number 0x20000000000000 is too large",
    ],
    ["0003000e00000000000000000000100001ff", "BAD_SECTION", 24, "the name of a RAM block is not valid UTF-8"],
    ["0005000201ff", "BAD_SECTION", 12, "the name of a RAM block is not valid UTF-8"],
  ])("what is in the payload of %s, with its place in the stream", (hex, code, offset, text) => {
    const message = `${text} (byte ${offset})`;
    expect(refusal(() => decode([fromHex(good + hex)]))).toMatchObject({ code, message, offset });
  });

  test("a block name cut short", () => {
    const message = "Message RECV_BITMAP does not end with a block name (byte 8)";
    expect(refusal(() => decode([fromHex(`${good}000500020261`)]))).toMatchObject({ message, offset: 8 });
  });

  test("a bitmap that is not padded, before it is sent", () => {
    const bitmap: ReturnMessage = { kind: "recv-bitmap", block: "m", bitmap: new Uint8Array(7) };
    expect(refusal(() => written((w) => encodeReturnMessage(w, bitmap))).code).toBe("INTERNAL");
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
