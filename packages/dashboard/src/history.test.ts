import * as fc from "fast-check";
import { expect, test } from "vitest";
import { History, MOST_POINTS } from "./history.ts";
import type { Point } from "./messages.ts";

const point = (time: number): Point => [time, 1, 2, 3, null, 30];

test("a timeline of any length is bounded, in order, and reaches from the beginning to the end", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), (count) => {
      const history = new History();
      for (let time = 1; time <= count; time++) history.add(point(time));
      const times = history.since(0).map(([time]) => time);
      expect(times.length).toBeLessThanOrEqual(MOST_POINTS);
      expect(times[0]).toBe(1);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      const step = Math.max(...times.slice(1).map((time, index) => time - times[index]!), 1);
      expect(count - times.at(-1)!).toBeLessThan(Math.max(2 * step, 1));
    }),
    { numRuns: 40 },
  );
});

test("whoever has all points is given those that are new, until points are dropped", () => {
  const history = new History();
  for (let time = 0; time < MOST_POINTS; time++) history.add(point(time));
  const { generation, length } = history;
  expect(history.since(length)).toEqual([]);
  history.add(point(MOST_POINTS));
  expect(history.generation).not.toBe(generation);
  expect(history.length).toBe(MOST_POINTS / 2 + 1);
  history.restart();
  expect(history.length).toBe(0);
});

test("a moment that is not later is not taken", () => {
  const history = new History();
  for (const time of [1, 1, 0.5, 2]) history.add(point(time));
  expect(history.since(0).map(([time]) => time)).toEqual([1, 2]);
});
