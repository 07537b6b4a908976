import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LineDecoder } from "./lines.ts";

function decode(chunks: readonly Uint8Array[], limit = 1000): string[] {
  const decoder = new LineDecoder(limit);
  return chunks.flatMap((chunk) =>
    [...decoder.push(chunk)].map((line) => (line.kind === "line" ? line.text : line.error.message)),
  );
}

describe("a line decoder", () => {
  const input = Buffer.from('{"a": "é€😀"}\r\n\n{"b"}\nrest');
  const lines = ['{"a": "é€😀"}\r', "", '{"b"}'];

  test("gives the same lines at every split of its input", () => {
    for (let first = 0; first <= input.length; first++) {
      for (let second = first; second <= input.length; second++) {
        const chunks = [input.subarray(0, first), input.subarray(first, second), input.subarray(second)];
        expect(decode(chunks)).toEqual(lines);
      }
    }
  });

  test("gives the same lines byte by byte", () => {
    expect(decode([...input].map((byte) => Uint8Array.of(byte)))).toEqual(lines);
  });

  test("agrees with split, however the input is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme" })), fc.array(fc.nat(60)), (texts, cuts) => {
        const wanted = texts.map((text) => text.replaceAll("\n", "")).filter((text) => text.isWellFormed());
        let bytes: Uint8Array = Buffer.from(wanted.map((text) => `${text}\n`).join(""));
        const chunks: Uint8Array[] = [];
        for (const cut of cuts) {
          chunks.push(bytes.subarray(0, cut));
          bytes = bytes.subarray(cut);
        }
        chunks.push(bytes);
        expect(decode(chunks)).toEqual(wanted.map((text) => text.replace(/^\uFEFF/u, "")));
      }),
    );
  });

  test("skips a line over the limit and goes on with the next, wherever it is cut", () => {
    const text = Buffer.from(`12345\n123456\n${"x".repeat(30)}\nok\n`);
    const long = "a line is longer than 5 bytes";
    for (let split = 0; split <= text.length; split++) {
      expect(decode([text.subarray(0, split), text.subarray(split)], 5)).toEqual(["12345", long, long, "ok"]);
    }
  });

  test("keeps nothing of the chunks that a line came in", () => {
    const decoder = new LineDecoder(1000);
    const found: string[] = [];
    for (const byte of Buffer.from("a line that comes byte by byte\n")) {
      const chunk = Uint8Array.of(byte);
      for (const line of decoder.push(chunk)) found.push(line.kind === "line" ? line.text : "");
      // One array for each byte would be a hundred times as much as the line.
      chunk.fill(0);
    }
    expect(found).toEqual(["a line that comes byte by byte"]);
  });

  test("refuses what is not UTF-8 and goes on with the next line", () => {
    expect(decode([Uint8Array.of(0xc3, 0x28, 0x0a, 0x61, 0x0a)])).toEqual(["a line is not UTF-8", "a"]);
  });
});
