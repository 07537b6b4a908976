import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LoopTurn } from "./loop-turn.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setImmediate", "setTimeout"] });
});

afterEach(() => {
  vi.useRealTimers();
});

test("a turn is over after 10 ms, and the next one begins behind what was due", async () => {
  const turn = new LoopTurn();
  vi.advanceTimersByTime(9);
  expect([turn.isOver, turn.next()]).toEqual([false, undefined]);
  vi.advanceTimersByTime(1);
  expect(turn.isOver).toBe(true);

  const order: string[] = [];
  setImmediate(() => order.push("others"));
  const next = turn.next()!.then(() => order.push("next"));
  expect(turn.isOver).toBe(true);
  vi.runAllTimers();
  await next;
  expect(order).toEqual(["others", "next"]);
  expect(turn.isOver).toBe(false);
  vi.advanceTimersByTime(10);
  expect(turn.isOver).toBe(true);
});
