import { expect, test } from "vitest";
import { DirtyRate } from "./dirty-rate.ts";

test("the rate is computed when more than a second has passed", () => {
  const rate = new DirtyRate(0);
  expect([rate.harvested(100, 500), rate.harvested(100, 1000)]).toEqual([undefined, undefined]);
  expect(rate.pagesPerSecond).toBe(0);
  expect(rate.harvested(100, 1500)).toBe(300);
  expect(rate.pagesPerSecond).toBe(200);
  rate.harvested(1000, 2500);
  expect(rate.pagesPerSecond).toBe(200);
  expect(rate.harvested(0, 3500)).toBe(1000);
  expect(rate.pagesPerSecond).toBe(500);
});
