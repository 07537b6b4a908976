import { expect, test } from "vitest";
import { Listeners } from "./listeners.ts";

test("listeners are told in their order until they end their subscription", () => {
  const told: string[] = [];
  const listeners = new Listeners<number>();
  const end = listeners.add((value) => told.push(`first ${value}`));
  listeners.add((value) => told.push(`second ${value}`));
  listeners.tell(1);
  end();
  listeners.tell(2);
  expect(told).toEqual(["first 1", "second 1", "second 2"]);
});

test("one that throws keeps the others from being told only where that is wanted", () => {
  const told: number[] = [];
  const failures: unknown[] = [];
  const listeners = new Listeners<number>();
  const failure = new Error("no");
  listeners.add(() => {
    throw failure;
  });
  listeners.add((value) => told.push(value));
  expect(() => listeners.tell(1)).toThrow(failure);
  expect(told).toEqual([]);
  listeners.tellEach(2, (error) => failures.push(error));
  expect([told, failures]).toEqual([[2], [failure]]);
});
