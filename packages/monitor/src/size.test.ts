import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseSize } from "./size.ts";

test.each([
  ["0", 0],
  ["4096", 4096],
  ["100k", 102_400],
  ["64M", 64 * 1024 * 1024],
  ["1g", 2 ** 30],
  ["1.5G", 1.5 * 2 ** 30],
  ["2T", 2 ** 41],
  ["1p", 2 ** 50],
  ["17B", 17],
])("%s is %i bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each([
  "",
  "M",
  "-1",
  "1 M",
  "1MB",
  "1e9",
  "0x10",
  "1.M",
  ".5M",
  "9007199254740993",
  "9000000T",
  "Infinity",
])("%j is no size", (text) => {
  expect(parseSize(text)).toBeUndefined();
});

test("every whole number of bytes is understood", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      expect(parseSize(String(bytes))).toBe(bytes);
    }),
  );
});

test("a number without a suffix has the unit that is asked for", () => {
  expect(parseSize("100", "m")).toBe(100 * 2 ** 20);
  expect(parseSize("100k", "m")).toBe(102_400);
  expect(parseSize("100b", "m")).toBe(100);
});
