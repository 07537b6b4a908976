import fc from "fast-check";
import { expect, test } from "vitest";
import { advanceIncoming } from "./incoming-snapshot.ts";
import type { IncomingSample, IncomingSnapshot } from "./incoming-snapshot.ts";

const count = fc.nat({ max: 2 ** 40 });

const anySample: fc.Arbitrary<IncomingSample> = fc.record({
  state: fc.constantFrom("setup", "listening", "active", "undecided", "loaded", "failed"),
  peer: fc.option(fc.constant("127.0.0.1:5000")),
  elapsed: fc.double({ min: 0, max: 100_000, noNaN: true }),
  received: count,
  normalPages: count,
  zeroPages: count,
  pass: fc.option(fc.integer({ min: 1, max: 9 })),
});

function followed(samples: readonly IncomingSample[]): IncomingSnapshot[] {
  let snapshot: IncomingSnapshot | undefined;
  return samples.map((next) => (snapshot = advanceIncoming(snapshot, next)));
}

test("whatever the samples are, nothing that arrived becomes less, and a snapshot is JSON", () => {
  fc.assert(
    fc.property(fc.array(anySample, { minLength: 2, maxLength: 20 }), (samples) => {
      const steps = followed(samples);
      for (const [index, now] of steps.entries()) {
        expect(JSON.parse(JSON.stringify(now))).toEqual(now);
        const before = steps[index - 1];
        if (before === undefined) continue;
        expect(now.received).toBeGreaterThanOrEqual(before.received);
        expect(now.normalPages).toBeGreaterThanOrEqual(before.normalPages);
        expect(now.zeroPages).toBeGreaterThanOrEqual(before.zeroPages);
        expect(now.pass ?? 0).toBeGreaterThanOrEqual(before.pass ?? 0);
        if (now.rate !== null) expect(now.rate).toBeGreaterThanOrEqual(0);
      }
    }),
  );
});

test("the rate is that of the last part of a second", () => {
  const arriving = (elapsed: number, received: number): IncomingSample => ({
    state: "active",
    peer: "127.0.0.1:5000",
    elapsed,
    received,
    normalPages: 0,
    zeroPages: 0,
    pass: 1,
  });
  const steps = followed([arriving(100, 10), arriving(500, 1000), arriving(700, 1200), arriving(1000, 1500)]);
  expect(steps.map(({ rate }) => rate)).toEqual([null, 2000, 2000, 1000]);
});
