import { MigrationParameters } from "@peregrine/shared-state";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AutoConverge, nextThrottle, UNTHROTTLED } from "./auto-converge.ts";
import type { ThrottleSettings } from "./auto-converge.ts";

const DEFAULTS: ThrottleSettings = {
  throttleTriggerThreshold: 50,
  cpuThrottleInitial: 20,
  cpuThrottleIncrement: 10,
  cpuThrottleTailslow: false,
  maxCpuThrottle: 99,
};

/** The percentages behind each period, of which each is what was dirtied for every 100 bytes sent. */
function percentages(dirtied: readonly number[], settings: Partial<ThrottleSettings> = {}): number[] {
  let state = UNTHROTTLED;
  return dirtied.map((dirtiedBytes) => {
    state = nextThrottle(state, { dirtiedBytes, sentBytes: 100 }, { ...DEFAULTS, ...settings });
    return state.percentage;
  });
}

describe("the decision of auto-converge", () => {
  test.each<[string, number[], Partial<ThrottleSettings>, number[]]>([
    ["half of what was sent is not too much", [50, 50, 50], {}, [0, 0, 0]],
    ["a byte more is, the second time in a row", [51, 51], {}, [0, 20]],
    ["a period between them begins anew", [51, 50, 51, 51], {}, [0, 0, 0, 20]],
    ["each step takes two periods", [90, 90, 90, 90, 90, 90], {}, [0, 20, 20, 30, 30, 40]],
    ["it stays when the guest is slow enough", [90, 90, 10, 10, 10], {}, [0, 20, 20, 20, 20]],
    ["two in a row after a pause", [90, 90, 90, 10, 90, 90], {}, [0, 20, 20, 20, 20, 30]],
    ["another share", [80, 80, 81, 81], { throttleTriggerThreshold: 80 }, [0, 0, 0, 20]],
    [
      "another beginning and step",
      [90, 90, 90, 90],
      { cpuThrottleInitial: 7, cpuThrottleIncrement: 33 },
      [0, 7, 7, 40],
    ],
    [
      "no more than the most",
      [90, 90, 90, 90],
      { cpuThrottleInitial: 60, maxCpuThrottle: 65 },
      [0, 60, 60, 65],
    ],
    ["the most is below the first", [90, 90, 90, 90], { maxCpuThrottle: 5 }, [0, 5, 5, 5]],
    [
      "smaller steps: 80 % ran and 53 may be dirtied of 56",
      [56, 56, 56, 56],
      { cpuThrottleTailslow: true, throttleTriggerThreshold: 53 },
      [0, 20, 20, 25],
    ],
    [
      "smaller steps are no larger ones",
      [500, 500, 500, 500],
      { cpuThrottleTailslow: true },
      [0, 20, 20, 30],
    ],
    ["the smallest step", [50.1, 50.1, 50.1, 50.1], { cpuThrottleTailslow: true }, [0, 20, 20, 21]],
    ["nothing sent, and nothing dirtied", [0, 0], {}, [0, 0]],
  ])("%s", (_name, dirtied, settings, expected) => {
    expect(percentages(dirtied, settings)).toEqual(expected);
  });

  test("nothing sent although the guest dirties", () => {
    const period = { dirtiedBytes: 1, sentBytes: 0 };
    const once = nextThrottle(UNTHROTTLED, period, DEFAULTS);
    const twice = nextThrottle(once, period, { ...DEFAULTS, cpuThrottleTailslow: true });
    expect([once.percentage, twice.percentage]).toEqual([0, 20]);
  });

  const settings = fc.record({
    throttleTriggerThreshold: fc.integer({ min: 1, max: 100 }),
    cpuThrottleInitial: fc.integer({ min: 1, max: 99 }),
    cpuThrottleIncrement: fc.integer({ min: 1, max: 99 }),
    cpuThrottleTailslow: fc.boolean(),
    maxCpuThrottle: fc.integer({ min: 1, max: 99 }),
  });

  test("never goes down, never beyond the most, never by more than a step, and only after two fast periods", () => {
    fc.assert(
      fc.property(
        settings,
        fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 60 }),
        (chosen, dirtied) => {
          const isFast = dirtied.map((bytes) => bytes > chosen.throttleTriggerThreshold);
          let before = 0;
          for (const [n, percentage] of percentages(dirtied, chosen).entries()) {
            expect(Number.isInteger(percentage)).toBe(true);
            expect(percentage).toBeGreaterThanOrEqual(before);
            expect(percentage).toBeLessThanOrEqual(chosen.maxCpuThrottle);
            const most = before === 0 ? chosen.cpuThrottleInitial : chosen.cpuThrottleIncrement;
            expect(percentage - before).toBeLessThanOrEqual(most);
            if (percentage !== before) expect([isFast[n], isFast[n - 1]]).toEqual([true, true]);
            before = percentage;
          }
        },
      ),
    );
  });

  test("brings a guest whose dirtying falls with its running time to rest, with smaller steps near the share", () => {
    fc.assert(
      fc.property(settings, fc.integer({ min: 1, max: 1000 }), (chosen, unthrottled) => {
        let state = UNTHROTTLED;
        const dirtied = (): number => (unthrottled * (100 - state.percentage)) / 100;
        for (let period = 0; period < 250; period++) {
          state = nextThrottle(state, { dirtiedBytes: dirtied(), sentBytes: 100 }, chosen);
        }
        const share = chosen.throttleTriggerThreshold;
        if (dirtied() > share) expect(state.percentage).toBe(chosen.maxCpuThrottle);
        // One percent less would not have been enough, unless the first throttle was more than that.
        if (!chosen.cpuThrottleTailslow || state.percentage <= chosen.cpuThrottleInitial) return;
        expect((unthrottled * (100 - state.percentage + 1)) / 100).toBeGreaterThan(share);
      }),
    );
  });
});

describe("auto-converge", () => {
  const FAST = { dirtiedBytes: 100, sentBytes: 100 };
  const SLOW = { dirtiedBytes: 1, sentBytes: 100 };

  function make(isOn: boolean) {
    const settings = new MigrationParameters();
    const throttles: number[] = [];
    const wanted = { now: false };
    const converge = new AutoConverge({
      settings,
      isOn,
      isWanted: () => wanted.now,
      throttle: (percentage) => void throttles.push(percentage),
    });
    return { converge, settings, throttles, wanted };
  }

  test("tells each change once, and takes parameters as they are now", () => {
    const { converge, settings, throttles } = make(true);
    for (let n = 0; n < 5; n++) converge.periodOver(FAST);
    expect(throttles).toEqual([20, 30]);
    settings.set({ "cpu-throttle-increment": 60 });
    converge.periodOver(FAST);
    converge.periodOver(SLOW);
    expect(throttles).toEqual([20, 30, 90]);
  });

  test("does nothing while it is off", () => {
    const { converge, throttles } = make(false);
    for (let n = 0; n < 5; n++) converge.periodOver(FAST);
    expect(throttles).toEqual([]);
  });

  test.each([true, false])(
    "throttles with the next period when that is wanted, and then as usual (on: %s)",
    (isOn) => {
      const { converge, throttles, wanted } = make(isOn);
      converge.periodOver(FAST);
      wanted.now = true;
      converge.periodOver(SLOW);
      expect(throttles).toEqual([20]);
      converge.periodOver(SLOW);
      converge.periodOver(FAST);
      converge.periodOver(FAST);
      expect(throttles).toEqual([20, 30]);
    },
  );
});
