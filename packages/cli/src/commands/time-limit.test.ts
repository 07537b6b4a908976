import { expect, test } from "vitest";
import { TimeKeeper } from "./time-limit.ts";

/** An agent that remembers what it was told. */
class Agent {
  readonly told: string[] = [];

  execute(command: string): Promise<unknown> {
    this.told.push(command);
    return Promise.resolve({});
  }
}

test.each([
  ["cancel", "migrate_cancel", "5 s are over: the migration is cancelled"],
  ["force", "x-peregrine-switchover", "5 s are over: the guest is stopped for what is left"],
  ["throttle", "x-peregrine-converge", "5 s are over: the guest is slowed down"],
] as const)("%s is done once, when the time is over", async (action, command, note) => {
  let now = 1000;
  const keeper = new TimeKeeper({ seconds: 5, action }, () => now);
  const agent = new Agent();
  expect(await keeper.look(agent)).toBeUndefined();
  now = 5999;
  expect(await keeper.look(agent)).toBeUndefined();
  expect(agent.told).toEqual([]);
  now = 6000;
  expect(await keeper.look(agent)).toBe(note);
  now = 20_000;
  expect(await keeper.look(agent)).toBeUndefined();
  expect(agent.told).toEqual([command]);
});

test("without a limit nothing is done, however long it takes", async () => {
  let now = 0;
  const keeper = new TimeKeeper(undefined, () => now);
  const agent = new Agent();
  now = 1e12;
  expect(await keeper.look(agent)).toBeUndefined();
  expect(agent.told).toEqual([]);
});
