import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Pacer } from "./pacer.ts";

describe("the pacer", () => {
  test("spreads writes evenly", () => {
    const clock = { now: 0 };
    const pacer = new Pacer(() => clock.now);
    pacer.setLimit(1000);
    expect(pacer.waitTime).toBe(0);
    pacer.put(10);
    expect(pacer.waitTime).toBe(10);
    clock.now = 10;
    expect(pacer.waitTime).toBe(0);
  });

  test("a new limit takes effect at once, and none is none", () => {
    const clock = { now: 0 };
    const pacer = new Pacer(() => clock.now);
    pacer.setLimit(1000);
    pacer.put(50);
    expect(pacer.waitTime).toBe(50);
    pacer.setLimit(2000);
    expect(pacer.waitTime).toBe(0);
    pacer.setLimit(0);
    pacer.put(1e9);
    expect(pacer.waitTime).toBe(0);
  });

  test("no stretch of time has more than the limit, 20 ms of it and one write", () => {
    const step = fc.record({
      bytes: fc.integer({ min: 1, max: 200 }),
      late: fc.integer({ min: 0, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        const clock = { now: 0 };
        const pacer = new Pacer(() => clock.now);
        pacer.setLimit(1000);
        const sent: { at: number; bytes: number }[] = [];
        for (const { bytes, late } of steps) {
          while (pacer.waitTime > 0) clock.now += pacer.waitTime;
          clock.now += late;
          pacer.put(bytes);
          sent.push({ at: clock.now, bytes });
        }
        for (const [from, { at: start }] of sent.entries()) {
          let sum = 0;
          for (const { at, bytes } of sent.slice(from)) {
            sum += bytes;
            expect(sum).toBeLessThanOrEqual(at - start + 20 + bytes + 1e-6);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
