import fc from "fast-check";
import { expect, test } from "vitest";
import { advance, willNotConverge } from "./progress.ts";
import type { Progress, ProgressSample } from "./progress.ts";

const bytes = fc.nat({ max: 2 ** 40 });
const rate = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 2 ** 40, noNaN: true }));

/** Anything that an agent could send, in any order. */
const anySample: fc.Arbitrary<ProgressSample> = fc.record({
  pass: fc.nat({ max: 6 }),
  passTotal: bytes,
  passBytes: bytes,
  remaining: bytes,
  total: bytes,
  transferred: bytes,
  diskTotal: bytes,
  diskRemaining: bytes,
  sendRate: rate,
  retireRate: rate,
  dirtyRate: rate,
  downtimeLimit: fc.nat({ max: 2_000_000 }),
  bandwidthLimit: bytes,
});

const sample = (changes: Partial<ProgressSample>): ProgressSample => ({
  pass: 1,
  passTotal: 1000,
  passBytes: 0,
  remaining: 1000,
  total: 1000,
  transferred: 0,
  diskTotal: 0,
  diskRemaining: 0,
  sendRate: 100,
  retireRate: 100,
  dirtyRate: 50,
  downtimeLimit: 30,
  bandwidthLimit: 0,
  ...changes,
});

function followed(samples: readonly ProgressSample[]): Progress[] {
  let progress: Progress | undefined;
  return samples.map((next) => (progress = advance(progress, next)));
}

test("whatever the samples are, progress never runs backwards", () => {
  fc.assert(
    fc.property(fc.array(anySample, { minLength: 2, maxLength: 30 }), (samples) => {
      const steps = followed(samples);
      for (const [index, now] of steps.entries()) {
        expect(now.fraction).toBeGreaterThanOrEqual(0);
        expect(now.fraction).toBeLessThanOrEqual(1);
        expect(now.passDone).toBeLessThanOrEqual(now.passTotal);
        const before = steps[index - 1];
        if (before === undefined) continue;
        expect(now.pass).toBeGreaterThanOrEqual(before.pass);
        if (now.pass === before.pass) {
          expect(now.fraction).toBeGreaterThanOrEqual(before.fraction);
          expect(now.passDone).toBeGreaterThanOrEqual(before.passDone);
          expect(now.passTotal).toBe(before.passTotal);
        }
        expect(now.transferred).toBeGreaterThanOrEqual(before.transferred);
        if (before.leastDowntime !== undefined) {
          expect(now.leastDowntime).toBeLessThanOrEqual(before.leastDowntime);
        }
      }
    }),
  );
});

test("a pass is followed by what is left of it", () => {
  const steps = followed([
    sample({ remaining: 1000 }),
    sample({ remaining: 250 }),
    sample({ remaining: 400 }),
    sample({ pass: 2, passTotal: 200, remaining: 200 }),
    sample({ pass: 2, passTotal: 200, remaining: 50 }),
  ]);
  expect(steps.map(({ fraction }) => fraction)).toEqual([0, 0.75, 0.75, 0, 0.75]);
  expect(steps.map(({ pass }) => pass)).toEqual([1, 1, 1, 2, 2]);
});

test("the downtime is predicted from the pass, except for the first", () => {
  const [first, second, third] = followed([
    sample({}),
    sample({ pass: 2, passTotal: 20 }),
    sample({ pass: 3, passTotal: 60 }),
  ]);
  expect(first!.predictedDowntime).toBeUndefined();
  expect(second!.predictedDowntime).toBe(200);
  expect(third).toMatchObject({ predictedDowntime: 600, leastDowntime: 200 });
});

test("a migration whose passes shrink converges", () => {
  const totals = [1000, 500, 400, 390, 380, 370, 360];
  const steps = followed(totals.map((passTotal, index) => sample({ pass: index + 1, passTotal })));
  expect(steps.some(willNotConverge)).toBe(false);
});

test("three passes that are no smaller than the smallest are hopeless, and one that is, is hope", () => {
  const totals = [1000, 500, 510, 500, 900, 499];
  const steps = followed(totals.map((passTotal, index) => sample({ pass: index + 1, passTotal })));
  expect(steps.map(willNotConverge)).toEqual([false, false, false, false, true, false]);
});

test("passes that do not shrink are no concern when the downtime is within its limit", () => {
  const steps = followed([1, 2, 3, 4, 5, 6].map((pass) => sample({ pass, passTotal: 2 })));
  expect(steps.some(willNotConverge)).toBe(false);
});
