import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { Source } from "./testing/source.ts";

const MiB = 1 << 20;
/** 64 MiB, a quarter of it zero pages. */
const LARGE = { blocks: [{ name: "large", pages: 16_384, used: 16_384 }] };

/** The most bytes that came in any second. */
function busiestSecond(arrivals: readonly { readonly at: number; readonly bytes: number }[]): number {
  let busiest = 0;
  let sum = 0;
  let first = 0;
  for (const { at, bytes } of arrivals) {
    sum += bytes;
    for (; arrivals[first]!.at <= at - 1000; first++) sum -= arrivals[first]!.bytes;
    busiest = Math.max(busiest, sum);
  }
  return busiest;
}

test("no second has more than 5 % above the limit", async () => {
  const limit = 8 * MiB;
  await using source = await Source.make({ ...LARGE, running: false });
  await using receiver = await source.receiver();
  source.migration.setSpeed(limit);
  const lag = monitorEventLoopDelay({ resolution: 1 });
  source.migration.migrate(receiver.uri);
  await source.reaches("active");
  lag.enable();
  // What had to wait for the receiver before its lag is known does not count.
  while (receiver.bytes !== source.migration.statistics.transferred) await delay(1);
  const first = receiver.arrivals.length;
  while (receiver.bytes < 2.5 * limit) await delay(20);
  const arrivals = receiver.arrivals.slice(first);
  lag.disable();
  source.migration.cancel();
  await source.ended();
  // What waits while the receiver is kept from reading seems to come later than it did. The sender's thread is kept from
  // running for as long, and makes up for it.
  const late = 2 * (lag.max / 1e9) * limit;
  expect(busiestSecond(arrivals)).toBeLessThanOrEqual(limit * 1.05 + late);
});

test("a limit that is lifted is lifted at once", async () => {
  await using source = await Source.make({ ...LARGE, running: false });
  await using receiver = await source.receiver();
  source.migration.setSpeed(MiB);
  source.migration.migrate(receiver.uri);
  await source.reaches("active");
  await delay(300);
  const [before, lifted] = [receiver.bytes, performance.now()];
  expect(before).toBeLessThan(24 * MiB);
  source.migration.setSpeed(0);
  expect(await source.ended()).toBe("completed");
  const rest = receiver.bytes - before;
  expect(rest).toBeGreaterThan(24 * MiB);
  // At the old limit it would have taken a second for each MiB.
  expect(performance.now() - lifted).toBeLessThan(((rest / MiB) * 1000) / 2);
});

test("a tolerated downtime that is raised takes effect at once", async () => {
  await using source = await Source.make({ dirtyRate: 64 * MiB, hotPages: 256 });
  await using receiver = await source.receiver();
  source.migration.setSpeed(4 * MiB);
  source.migration.setDowntime(0);
  source.migration.migrate(receiver.uri);
  await source.reaches("active");
  while (source.migration.statistics.pass < 3) await delay(5);
  expect(source.migration.status).toBe("active");
  source.migration.setDowntime(10);
  expect(await source.ended()).toBe("completed");
  source.expectSame(receiver);
});
