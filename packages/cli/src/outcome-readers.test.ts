import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { OutcomeReaders } from "./outcome-readers.ts";

function waiting(readers: OutcomeReaders): () => Promise<boolean> {
  let isKnown = false;
  void readers.known().then(() => (isKnown = true));
  return async () => {
    await turn();
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

test("nobody is waited for for ever", async () => {
  const readers = new OutcomeReaders(1);
  readers.begin();
  readers.observed(false);
  await readers.known();
});
