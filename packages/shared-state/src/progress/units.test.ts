import fc from "fast-check";
import { expect, test } from "vitest";
import { formatEstimate, formatRate, formatSize, formatTime } from "./units.ts";

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1 KiB"],
  [1536, "1.5 KiB"],
  [1023.6 * 1024, "1 MiB"],
  [310 * 1024 * 1024, "310 MiB"],
  [2 ** 50, "1024 TiB"],
])("%d bytes are shown as %s", (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

test("what is shown of a size is within a hundredth of it", () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 45 }), (bytes) => {
      const [value, unit] = formatSize(bytes).split(" ");
      const shown = Number(value) * 1024 ** ["B", "KiB", "MiB", "GiB", "TiB"].indexOf(unit!);
      expect(Math.abs(shown - bytes)).toBeLessThanOrEqual(bytes / 100);
    }),
  );
});

test("rates and times carry their units", () => {
  expect(formatRate(2 ** 20)).toBe("1 MiB/s");
  expect(formatTime(12.4)).toBe("12 ms");
  expect(formatTime(1250)).toBe("1.3 s");
});

test.each([
  [100, "less than a second"],
  [12_400, "about 12 s"],
  [119_000, "about 119 s"],
  [150_000, "about 3 min"],
  [3 * 3_600_000, "about 3 h"],
])("%d ms that are estimated are shown as %s", (ms, text) => {
  expect(formatEstimate(ms)).toBe(text);
});
