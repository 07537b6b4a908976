import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { OutcomeReaders } from "./outcome-readers.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function waiting(readers: OutcomeReaders): () => Promise<boolean> {
  let isKnown = false;
  void readers.known().then(() => (isKnown = true));
  return async () => {
    await vi.advanceTimersByTimeAsync(0);
    return isKnown;
  };
}

test("who asks once is enough where nobody observes", async () => {
  const readers = new OutcomeReaders();
  readers.begin();
  readers.asked(false);
  const isKnown = waiting(readers);
  expect(await isKnown()).toBe(false);
  readers.asked(true);
  expect(await isKnown()).toBe(true);
});

test("who observes sees the end as well", async () => {
  const readers = new OutcomeReaders();
  readers.begin();
  readers.observed(false);
  const isKnown = waiting(readers);
  readers.asked(true);
  expect(await isKnown()).toBe(false);
  readers.observed(true);
  expect(await isKnown()).toBe(true);
});

test("nobody is waited for for ever, and not who has gone before", async () => {
  const readers = new OutcomeReaders();
  readers.begin();
  readers.observed(false);
  const isKnown = waiting(readers);
  readers.asked(true);
  await vi.advanceTimersByTimeAsync(4999);
  expect(await isKnown()).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(await isKnown()).toBe(true);
  expect(await waiting(readers)()).toBe(true);
});
