import { expect, test } from "vitest";
import { DirtyRate } from "./dirty-rate.ts";

test("the rate is computed when more than a second has passed", () => {
  const rate = new DirtyRate(0);
  rate.harvested(100, 500);
  rate.harvested(100, 1000);
  expect(rate.pagesPerSecond).toBe(0);
  rate.harvested(100, 1500);
  expect(rate.pagesPerSecond).toBe(200);
  rate.harvested(1000, 2500);
  expect(rate.pagesPerSecond).toBe(200);
  rate.harvested(0, 3500);
  expect(rate.pagesPerSecond).toBe(500);
});
