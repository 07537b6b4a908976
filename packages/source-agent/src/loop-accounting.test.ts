import { PAGE_SIZE } from "@peregrine/shared-state";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LoopAccounting } from "./loop-accounting.ts";

const MiB = 1 << 20;
const totals = (wireBytes: number, retiredBytes: number, idleTime = 0) => ({
  wireBytes,
  retiredBytes,
  idleTime,
});

describe("the accounting", () => {
  test("closes a period when 100 ms are over, and not before", () => {
    const accounting = new LoopAccounting(1000);
    expect(accounting.update(1099, totals(MiB, MiB), 0)).toBeUndefined();
    expect(accounting.retireRate).toBe(0);
    const account = accounting.update(1100, totals(MiB, 2 * MiB), 0);
    expect(account).toEqual({
      bandwidth: MiB / 100,
      mbps: (MiB * 8) / 0.1 / 1_000_000,
      pagesPerSecond: (2 * MiB) / PAGE_SIZE / 0.1,
      expectedDowntime: undefined,
    });
    expect(accounting.update(1199, totals(2 * MiB, 3 * MiB), 0)).toBeUndefined();
    expect(accounting.update(1200, totals(2 * MiB, 3 * MiB), 0)?.bandwidth).toBe(MiB / 100);
  });

  test("takes the threshold from the pages retired, not from the bytes on the wire", () => {
    const accounting = new LoopAccounting(0);
    // Zero pages: 9 bytes on the wire for 4096 of memory.
    accounting.update(100, totals((10 * MiB * 9) / PAGE_SIZE, 10 * MiB), 0);
    expect(accounting.threshold(30)).toBeCloseTo((10 * MiB * 30) / 100);
  });

  test("knows no threshold before the first period is over", () => {
    expect(new LoopAccounting(0).threshold(30)).toBe(0);
  });

  test("does not take time without work for slowness", () => {
    const accounting = new LoopAccounting(0);
    accounting.update(100, totals(MiB, MiB, 90), 0);
    expect(accounting.retireRate).toBe(MiB / 10);
  });

  test("keeps its estimate while there is nothing to send", () => {
    const accounting = new LoopAccounting(0);
    accounting.update(100, totals(MiB, MiB), 0);
    accounting.update(200, totals(MiB, MiB, 100), 0);
    accounting.update(300, totals(MiB + 4104, MiB + PAGE_SIZE, 199), 0);
    expect(accounting.retireRate).toBe(MiB / 100);
  });

  test("adds up periods that are too small to tell", () => {
    const accounting = new LoopAccounting(0);
    for (let period = 1; period <= 3; period++) {
      const retired = period * 16 * PAGE_SIZE;
      accounting.update(period * 100, totals(retired, retired, period * 99), 0);
      expect(accounting.retireRate).toBe(0);
    }
    accounting.update(400, totals(64 * PAGE_SIZE, 64 * PAGE_SIZE, 396), 0);
    expect(accounting.retireRate).toBe((64 * PAGE_SIZE) / 4);
  });

  test("tells the expected downtime only when it knows the dirty rate and enough was sent", () => {
    const accounting = new LoopAccounting(0);
    expect(accounting.update(100, totals(10_001, MiB), 0)?.expectedDowntime).toBeUndefined();
    expect(accounting.update(200, totals(20_001, 2 * MiB), 5 * MiB)?.expectedDowntime).toBeUndefined();
    expect(accounting.update(300, totals(30_002, 3 * MiB), 5 * MiB)?.expectedDowntime).toBe(500);
  });

  test("a steady rate gives the same threshold, whenever it is looked at", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 4096, max: 4e6, noNaN: true }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 0, max: 2000 }),
        (bytesPerMs, steps, downtimeLimit) => {
          const accounting = new LoopAccounting(0);
          let now = 0;
          for (const step of steps) {
            now += step;
            accounting.update(now, totals(now, now * bytesPerMs), 0);
            if (accounting.retireRate === 0) continue;
            expect(accounting.threshold(downtimeLimit)).toBeCloseTo(bytesPerMs * downtimeLimit, 0);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
