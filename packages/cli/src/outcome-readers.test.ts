import type { CommandClient } from "@peregrine/monitor";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { OutcomeReaders } from "./outcome-readers.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** The migration has completed. */
function waiting(readers: OutcomeReaders): () => Promise<boolean> {
  let isKnown = false;
  void readers.known().then(() => (isKnown = true));
  return async () => {
    await turn();
    return isKnown;
  };
}

/** A client, and how it goes away. */
function leaving(): [CommandClient, () => void] {
  const { promise, resolve } = Promise.withResolvers<void>();
  return [{ closed: promise }, resolve];
}

test("who asks once is enough where nobody follows the migration", async () => {
  const readers = new OutcomeReaders();
  const [client, leave] = leaving();
  readers.begin(client);
  leave();
  const isKnown = waiting(readers);
  expect(await isKnown()).toBe(false);
  readers.asked({}, true);
  expect(await isKnown()).toBe(true);
});

test("where nobody has started it, nobody has to ask, and who follows it is told", async () => {
  const readers = new OutcomeReaders();
  readers.begin();
  expect(await waiting(readers)()).toBe(true);
  const client = {};
  readers.begin();
  readers.asked(client, false);
  const isKnown = waiting(readers);
  expect(await isKnown()).toBe(false);
  readers.asked(client, true);
  expect(await isKnown()).toBe(true);
});

test("each of those who have asked is told", async () => {
  const readers = new OutcomeReaders();
  const [one, other] = [{}, {}];
  readers.begin(one);
  readers.asked(one, false);
  readers.asked(other, false);
  const isKnown = waiting(readers);
  readers.asked(other, true);
  expect(await isKnown()).toBe(false);
  readers.asked(one, true);
  expect(await isKnown()).toBe(true);
});

test("who has started it is told, also if it has not asked yet", async () => {
  const readers = new OutcomeReaders();
  const starter = {};
  readers.begin(starter);
  const isKnown = waiting(readers);
  readers.asked({}, true);
  expect(await isKnown()).toBe(false);
  readers.asked(starter, true);
  expect(await isKnown()).toBe(true);
});

test("who observes sees the end, and does not stand for one who asks", async () => {
  const readers = new OutcomeReaders();
  const observer = {};
  const [client, leave] = leaving();
  readers.begin(client);
  leave();
  readers.observed(observer, false);
  const isKnown = waiting(readers);
  readers.asked({}, true);
  expect(await isKnown()).toBe(false);
  readers.observed(observer, true);
  expect(await isKnown()).toBe(true);

  const [another, leaveAgain] = leaving();
  readers.begin(another);
  leaveAgain();
  const isKnownAgain = waiting(readers);
  readers.observed(observer, true);
  expect(await isKnownAgain()).toBe(false);
});

test("who is gone is not waited for", async () => {
  const readers = new OutcomeReaders();
  const [client, leave] = leaving();
  readers.begin(client);
  readers.asked(client, false);
  const isKnown = waiting(readers);
  readers.asked({}, true);
  expect(await isKnown()).toBe(false);
  leave();
  expect(await isKnown()).toBe(true);
});

test("who was gone before is not waited for, nor who has not asked for long", async () => {
  const readers = new OutcomeReaders();
  const [client, leave] = leaving();
  readers.begin({});
  vi.advanceTimersByTime(10_001);
  readers.asked(client, false);
  leave();
  await turn();
  const isKnown = waiting(readers);
  readers.asked({}, true);
  expect(await isKnown()).toBe(true);
});

test("how an earlier migration ended is not how this one does", async () => {
  const readers = new OutcomeReaders();
  const client = {};
  readers.begin(client);
  readers.asked(client, true);
  readers.begin(client);
  const isKnown = waiting(readers);
  readers.asked({}, true);
  expect(await isKnown()).toBe(false);
});

test("nobody is waited for for ever", async () => {
  const readers = new OutcomeReaders(1);
  readers.begin({});
  await readers.known();
});
