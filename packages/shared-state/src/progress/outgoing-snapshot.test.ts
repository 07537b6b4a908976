import fc from "fast-check";
import { expect, test } from "vitest";
import type { OutgoingSample, OutgoingState } from "./outgoing-sample.ts";
import { advanceOutgoing } from "./outgoing-snapshot.ts";
import type { OutgoingSnapshot } from "./outgoing-snapshot.ts";
import { MIB, sample } from "../../test/progress-samples.ts";

const bytes = fc.nat({ max: 2 ** 40 });
const rate = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 2 ** 40, noNaN: true }));
const states: readonly OutgoingState[] = [
  "setup",
  "active",
  "pre-switchover",
  "device",
  "cancelling",
  "cancelled",
  "completed",
  "failed",
];

/** Anything that could be read, in any order. */
const anySample: fc.Arbitrary<OutgoingSample> = fc.record({
  migration: fc.integer({ min: 1, max: 2 }),
  state: fc.oneof({ weight: 20, arbitrary: fc.constant("active" as const) }, fc.constantFrom(...states)),
  elapsed: fc.oneof(fc.nat({ max: 100_000 }), rate),
  pass: fc.nat({ max: 6 }),
  passTotal: bytes,
  passBytes: bytes,
  remaining: bytes,
  total: bytes,
  transferred: bytes,
  precopyBytes: bytes,
  downtimeBytes: bytes,
  multifdBytes: bytes,
  normalPages: bytes,
  zeroPages: bytes,
  xbzrlePages: bytes,
  dirtySyncs: bytes,
  diskTotal: bytes,
  diskTransferred: bytes,
  diskRemaining: bytes,
  sendRate: rate,
  retireRate: rate,
  dirtyRate: rate,
  threshold: rate,
  downtimeLimit: fc.nat({ max: 2_000_000 }),
  bandwidthLimit: bytes,
  switchoverBandwidth: fc.oneof(fc.constant(0), bytes),
  throttle: fc.nat({ max: 99 }),
  maxThrottle: fc.nat({ max: 99 }),
  xbzrleMissRate: fc.double({ min: 0, max: 1, noNaN: true }),
  xbzrleCacheSize: bytes,
  xbzrle: fc.boolean(),
  multifd: fc.boolean(),
  mappedRam: fc.boolean(),
  autoConverge: fc.boolean(),
  guestRuns: fc.boolean(),
  canThrottle: fc.boolean(),
  arriving: fc.boolean(),
  stopped: fc.boolean(),
  downtime: bytes,
});

function followed(samples: readonly OutgoingSample[]): OutgoingSnapshot[] {
  let snapshot: OutgoingSnapshot | undefined;
  return samples.map((next) => (snapshot = advanceOutgoing(snapshot, next)));
}

function expectForward(before: OutgoingSnapshot, now: OutgoingSnapshot): void {
  expect(now.fraction).toBeGreaterThanOrEqual(before.fraction);
  expect(now.pass).toBeGreaterThanOrEqual(before.pass);
  expect(now.elapsed).toBeGreaterThanOrEqual(before.elapsed);
  expect(now.transferred).toBeGreaterThanOrEqual(before.transferred);
  if (now.pass === before.pass) {
    expect(now.passFraction).toBeGreaterThanOrEqual(before.passFraction);
    expect(now.passDone).toBeGreaterThanOrEqual(before.passDone);
    expect(now.passTotal).toBe(before.passTotal);
  }
  if (before.leastPass > 0) expect(now.leastLeft).toBeLessThanOrEqual(before.leastLeft);
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
        if (before?.migration === now.migration) expectForward(before, now);
      }
    }),
  );
});

test("whatever the samples are, a snapshot is JSON, and only a migration that has completed is done", () => {
  fc.assert(
    fc.property(fc.array(anySample, { minLength: 1, maxLength: 10 }), (samples) => {
      for (const now of followed(samples)) {
        expect(JSON.parse(JSON.stringify(now))).toEqual(now);
        expect(now.fraction === 1).toBe(now.state === "completed");
        expect(now.verdict.text).not.toMatch(/NaN|Infinity|undefined|null/u);
      }
    }),
  );
});

test("a pass is followed by what is left of it", () => {
  const steps = followed([
    sample({ remaining: 100 * MIB }),
    sample({ remaining: 25 * MIB }),
    sample({ remaining: 40 * MIB }),
    sample({ pass: 2, passTotal: 20 * MIB, remaining: 20 * MIB }),
    sample({ pass: 2, passTotal: 20 * MIB, remaining: 5 * MIB }),
    // Read before the pass began, and late.
    sample({ pass: 1, remaining: 0 }),
  ]);
  expect(steps.map(({ passFraction }) => passFraction)).toEqual([0, 0.75, 0.75, 0, 0.75, 0.75]);
  expect(steps.map(({ pass }) => pass)).toEqual([1, 1, 1, 2, 2, 2]);
});

test("the first pass leaves room for those that it makes necessary, and the whole goes on from there", () => {
  const steps = followed([
    sample({ dirtyRate: 0, remaining: 50 * MIB }),
    sample({ dirtyRate: 0, remaining: 0 }),
    sample({ dirtyRate: 50 * MIB, pass: 2, passTotal: 50 * MIB, remaining: 50 * MIB }),
    sample({ dirtyRate: 50 * MIB, pass: 3, passTotal: 12 * MIB, remaining: 6 * MIB }),
    sample({ state: "device", pass: 3, passTotal: 12 * MIB, remaining: 2 * MIB }),
    sample({ state: "completed", pass: 4, passTotal: MIB, remaining: 0 }),
  ]);
  const fractions = steps.map(({ fraction }) => fraction);
  expect(fractions.slice(0, 3)).toEqual([0.35, 0.7, 0.7]);
  expect(fractions[3]).toBeGreaterThan(0.85);
  expect(fractions.slice(4)).toEqual([0.99, 1]);
});

test("a migration that does not converge stays where it is, also when a rate falls for a moment", () => {
  const rates = [120, 120, 120, 60, 120, 40];
  const passes = rates.map((dirtied, n) =>
    sample({ pass: n + 2, dirtyRate: dirtied * MIB, passTotal: 100 * MIB, remaining: 50 * MIB }),
  );
  const steps = followed([sample({ remaining: 0, dirtyRate: 0 }), ...passes]);
  expect(new Set(steps.map(({ fraction }) => fraction))).toEqual(new Set([0.7]));
});

test("the downtime is predicted from the pass, except for the first", () => {
  const [first, second, third] = followed([
    sample({}),
    sample({ pass: 2, passTotal: 20 * MIB }),
    sample({ pass: 3, passTotal: 60 * MIB }),
  ]);
  expect(first!.predictedDowntime).toBeNull();
  expect(second!.predictedDowntime).toBe(200);
  expect(third).toMatchObject({ predictedDowntime: 600, leastDowntime: 200, leastPass: 2 });
});

test("the best downtime is that of the smallest pass at the rate of the moment, and no peak of the rate", () => {
  const second = { pass: 2, passTotal: 20 * MIB };
  const [, peak, now] = followed([
    sample({}),
    sample({ ...second, retireRate: 1000 * MIB }),
    sample({ ...second, elapsed: 100 }),
  ]);
  expect(peak!.leastDowntime).toBe(20);
  expect(now!.leastDowntime).toBe(200);
});

test("what the link is said to give at the switchover counts instead of what was measured", () => {
  const [, second] = followed([
    sample({}),
    sample({ pass: 2, passTotal: 20 * MIB, switchoverBandwidth: 1000 * MIB }),
  ]);
  expect(second!.predictedDowntime).toBe(20);
});

test("until the loop has measured the dirty rate, it follows from the passes", () => {
  const [first, second] = followed([
    sample({ dirtyRate: 0, elapsed: 100 }),
    sample({ dirtyRate: 0, elapsed: 600, pass: 2, passTotal: 5 * MIB }),
  ]);
  expect(first!.dirtyRate).toBeNull();
  expect(second!.dirtyRate).toBe(10 * MIB);
});

test("a guest that does not run here is known to dirty nothing", () => {
  const [first] = followed([sample({ dirtyRate: 0, guestRuns: false, remaining: 50 * MIB })]);
  expect(first).toMatchObject({
    dirtyRate: 0,
    fraction: 0.5,
    verdict: { kind: "converging", timeLeft: 500 },
  });
});

test("drives count as work, too", () => {
  const drive = { diskTotal: 300 * MIB, dirtyRate: 0, guestRuns: false };
  const [first, second] = followed([
    sample({ ...drive, diskRemaining: 300 * MIB }),
    sample({ ...drive, diskTransferred: 200 * MIB, diskRemaining: 100 * MIB }),
  ]);
  expect(first!.fraction).toBe(0);
  expect(second!.fraction).toBe(0.5);
});

test("a new migration begins from nothing, and what has ended stays as it was", () => {
  const [, failed, late, again] = followed([
    sample({ remaining: 0 }),
    sample({ state: "failed", remaining: 0 }),
    sample({ state: "active", pass: 7 }),
    sample({ migration: 2, dirtyRate: 0 }),
  ]);
  expect(failed!.fraction).toBeGreaterThan(0);
  expect(late).toBe(failed);
  expect(again).toMatchObject({ migration: 2, fraction: 0, pass: 1 });
});
