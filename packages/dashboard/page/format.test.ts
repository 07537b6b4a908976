import { expect, test } from "vitest";
import { editableRate, parseRate, percent, rate, time } from "./format.ts";

test.each([
  ["", 0],
  ["0", 0],
  ["64M", 64 << 20],
  ["64 MiB/s", 64 << 20],
  ["1.5g", 1.5 * 2 ** 30],
  ["100", 100],
  ["fast", undefined],
  ["-1M", undefined],
  ["1M2", undefined],
])("%j is %s bytes per second", (text, expected) => {
  expect(parseRate(text)).toBe(expected);
});

test("what is edited is understood again", () => {
  for (const bytes of [1, 1000, 1024, 32 << 20, 3 * 2 ** 30, 123_456_789]) {
    expect(parseRate(editableRate(bytes))).toBe(bytes);
  }
  expect(editableRate(0)).toBe("");
});

test("figures are for people", () => {
  expect([rate(1536), rate(null)]).toEqual(["1.5 KiB/s", "–"]);
  expect([time(null), time(0), time(2.5), time(30), time(1500), time(61_000)]).toEqual([
    "–",
    "0 ms",
    "2.5 ms",
    "30 ms",
    "1.50 s",
    "1 min 1 s",
  ]);
  expect([percent(0.9999), percent(1)]).toEqual(["99.9 %", "100 %"]);
});
