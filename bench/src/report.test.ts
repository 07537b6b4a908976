import { describe, expect, test } from "vitest";
import { table } from "./report.ts";
import { isMet } from "./scenario.ts";
import type { Row } from "./scenario.ts";
import { scenarios } from "./scenarios.ts";
import { geometricMean, meanInterval, median, percentile } from "./statistics.ts";

const row: Row = {
  name: "a.b",
  what: "one / other",
  figure: 1.234,
  unit: "ratio",
  target: { atLeast: 1 },
  samples: [1.2, 1.3],
};

describe("the figures", () => {
  test("median, mean and percentile are those of textbooks", () => {
    expect([median([3]), median([9, 1, 2]), median([4, 1, 2, 3])]).toEqual([3, 2, 2.5]);
    expect(geometricMean([2, 8])).toBeCloseTo(4);
    const hundred = Array.from({ length: 100 }, (_, n) => 100 - n);
    expect([percentile(hundred, 0.95), percentile(hundred, 1), percentile([7], 0.5)]).toEqual([95, 100, 7]);
    for (const of of [median, geometricMean, (values: number[]) => percentile(values, 0.5)])
      expect(() => of([])).toThrow(RangeError);
  });

  test("the mean of pairs lies within twice its error", () => {
    expect(meanInterval([2, 2, 2])).toEqual([2, 2]);
    // Logarithms of -1 and 1: the deviation is the root of 2, and the error of the mean is 1.
    const [least, most] = meanInterval([Math.E ** -1, Math.E]);
    expect(Math.log(least)).toBeCloseTo(-1.96);
    expect(Math.log(most)).toBeCloseTo(1.96);
  });

  test("a target is met on its own side, and at its limit", () => {
    expect(isMet({ ...row, figure: 1 })).toBe(true);
    expect(isMet({ ...row, figure: 0.999 })).toBe(false);
    expect(isMet({ ...row, figure: 1, target: { atMost: 1 } })).toBe(true);
    expect(isMet({ ...row, figure: 1.001, target: { atMost: 1 } })).toBe(false);
    const { target: _target, ...shown } = row;
    expect(isMet(shown)).toBeUndefined();
  });

  test("the table says what was missed, and gives many samples as a range", () => {
    const many = { ...row, name: "c", unit: "ms", samples: Array.from({ length: 20 }, (_, n) => n) } as const;
    const lines = table([row, { ...many, target: { atMost: 1 }, note: "why" }]).split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[2]).toMatch(
      /^\| a\.b +\| one \/ other +\| 1\.23 +\| >= 1 +\| yes +\| 1\.20 1\.30 +\| +\|$/u,
    );
    expect(lines[3]).toMatch(/\| 1\.2 ms +\| <= 1 +\| NO +\| 20: 0\.0 to 19\.0 +\| why +\|$/u);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
  });

  test("every scenario has a name of its own", () => {
    expect(new Set(scenarios.map(({ name }) => name)).size).toBe(scenarios.length);
  });
});
