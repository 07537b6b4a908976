import * as fc from "fast-check";
import { expect, test } from "vitest";
import { DowntimeMeter } from "./downtime.ts";
import type { DowntimePart } from "./downtime.ts";

const PARTS: readonly DowntimePart[] = ["stop", "pause", "harvest", "lastPages", "deviceState", "load"];

test("all time since the beginning is in one of the parts", () => {
  const step = fc.record({ part: fc.constantFrom(...PARTS), ms: fc.nat(1000) });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      let now = 5000;
      const meter = new DowntimeMeter(() => now);
      for (const { part, ms } of steps) {
        now += ms;
        meter.mark(part);
      }
      const { total, ...parts } = meter.breakdown();
      expect(total).toBe(now - 5000);
      expect(Object.keys(parts)).toEqual(PARTS);
      for (const [name, ms] of Object.entries(parts)) {
        const own = steps.filter(({ part }) => part === name);
        expect(ms).toBe(own.reduce((sum, { ms: time }) => sum + time, 0));
      }
    }),
  );
});

test("a pause in a part is counted as a pause", () => {
  let now = 0;
  const meter = new DowntimeMeter(() => now);
  now = 700;
  meter.mark("stop", 690);
  now = 705;
  meter.mark("harvest");
  expect(meter.breakdown()).toEqual({
    stop: 10,
    pause: 690,
    harvest: 5,
    lastPages: 0,
    deviceState: 0,
    load: 0,
    total: 705,
  });
});
