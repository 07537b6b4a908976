import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { Source } from "./testing/source.ts";

const KiB = 1 << 10;
/** It dirties its 32 pages four times while they are sent once. */
const HOPELESS = {
  blocks: [{ name: "test.ram", pages: 128, used: 80 }],
  hotPages: 32,
  dirtyRate: 2048 * KiB,
};
const LIMIT = 512 * KiB;

interface Throttled {
  readonly source: Source;
  /** What the machine was told, in order. */
  readonly calls: number[];
}

async function hopelessSource(): Promise<Throttled> {
  const source = await Source.make(HOPELESS);
  source.migration.setSpeed(LIMIT);
  const { machine } = source;
  const calls: number[] = [];
  const setThrottle = (percentage: number): void => {
    calls.push(percentage);
    machine.throttle = percentage;
  };
  Object.assign(machine, { setThrottle });
  return { source, calls };
}

const percentageOf = ({ migration }: Source): unknown =>
  Object.entries(migration.query()).find(([key]) => key === "cpu-throttle-percentage")?.[1];

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(2);
}

test("a guest that dirties faster than it is sent is throttled until it can be moved, and not longer", async () => {
  const { source, calls } = await hopelessSource();
  await using _source = source;
  // While this thread stands still, the guest does so, too, and could be moved unthrottled.
  const prepared = Promise.withResolvers<void>();
  await using receiver = await source.receiver({ prepared: prepared.promise });
  source.migration.setCapabilities({ "auto-converge": true });
  source.migration.setParameters({ "cpu-throttle-initial": 95 });
  source.migration.migrate(receiver.uri);
  await until(() => percentageOf(source) !== undefined);
  expect([calls[0], percentageOf(source)]).toEqual([95, calls.at(-1)]);
  prepared.resolve();
  expect(await source.ended()).toBe("completed");
  expect([calls.at(-1), source.machine.throttle, percentageOf(source)]).toEqual([0, 0, undefined]);
  source.expectSame(receiver);
}, 30_000);

test("a guest is throttled when that is wanted, and runs at its own speed again after a cancel", async () => {
  const { source, calls } = await hopelessSource();
  await using _source = source;
  await using receiver = await source.receiver({ prepared: new Promise(() => {}) });
  source.migration.convergeNow();
  source.migration.migrate(receiver.uri);
  await source.reaches("active");
  source.migration.convergeNow();
  await until(() => percentageOf(source) !== undefined);
  expect([calls[0], percentageOf(source)]).toEqual([20, calls.at(-1)]);
  source.migration.cancel();
  expect(await source.ended()).toBe("cancelled");
  expect([calls.at(-1), percentageOf(source)]).toEqual([0, undefined]);
  await source.expectUntouched();
}, 30_000);

test("no percentage is shown of a guest that cannot be throttled", async () => {
  const { source, calls } = await hopelessSource();
  await using _source = source;
  await using receiver = await source.receiver({ prepared: new Promise(() => {}) });
  Object.assign(source.machine, { setThrottle: undefined });
  source.migration.migrate(receiver.uri);
  await source.reaches("active");
  source.migration.convergeNow();
  const { statistics } = source.migration;
  // The rate is computed, and what is told of it is told before the next pass.
  let passes = 0;
  source.migration.subscribe((event) => {
    if (event.kind === "migration-pass" && statistics.dirtyPagesRate > 0) passes++;
  });
  await until(() => passes > 2);
  expect([percentageOf(source), calls]).toEqual([undefined, []]);
  source.migration.cancel();
  expect(await source.ended()).toBe("cancelled");
}, 30_000);
