import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { HostSignals, signalStatus } from "./host-signals.ts";
import type { EndingSignal } from "./host-signals.ts";

interface Fixture {
  readonly source: EventEmitter;
  readonly signals: HostSignals;
  readonly seconds: EndingSignal[];
  readonly clock: { now: number };
}

function fixture(): Fixture {
  const source = new EventEmitter();
  const seconds: EndingSignal[] = [];
  const clock = { now: 5000 };
  const signals = new HostSignals({
    source: source as unknown as NodeJS.Process,
    now: () => clock.now,
    onSecond: (signal) => seconds.push(signal),
  });
  return { source, signals, seconds, clock };
}

test("the first signal is told", async () => {
  const { source, signals, seconds } = fixture();
  expect(signals.received).toBeUndefined();
  source.emit("SIGTERM", "SIGTERM");
  expect(await signals.first).toBe("SIGTERM");
  expect(signals.received).toBe("SIGTERM");
  expect(seconds).toEqual([]);
});

test("a signal that comes twice at once is one", () => {
  const { source, seconds, clock } = fixture();
  source.emit("SIGINT", "SIGINT");
  clock.now += 249;
  source.emit("SIGINT", "SIGINT");
  expect(seconds).toEqual([]);
});

test("a later one is a second one", () => {
  const { source, seconds, clock } = fixture();
  source.emit("SIGINT", "SIGINT");
  clock.now += 250;
  source.emit("SIGTERM", "SIGTERM");
  expect(seconds).toEqual(["SIGTERM"]);
});

test("after its disposal nobody listens", () => {
  const { source, signals } = fixture();
  signals.dispose();
  expect(source.eventNames()).toEqual([]);
});

test("the statuses are those of a shell", () => {
  expect(signalStatus("SIGINT")).toBe(130);
  expect(signalStatus("SIGTERM")).toBe(143);
  expect(signalStatus("SIGHUP")).toBe(129);
});
