/** Section 6 of the description of the behaviour, as far as the source is concerned: a row for each run state. */
import { RunControl } from "@peregrine/shared-state";
import type { RunState } from "@peregrine/shared-state";
import { TestMachine } from "@peregrine/shared-state/testing";
import { describe, expect, test } from "vitest";
import { OutgoingMigration } from "./outgoing-migration.ts";
import { Source } from "./testing/source.ts";

/** Nobody listens there. */
const NOWHERE = "unix:/nowhere/peregrine.sock";

interface Row {
  readonly state: RunState;
  /** Brings a source there whose guest runs. */
  readonly reach: (source: Source) => Promise<unknown>;
  /** The run state after the command, or why it is refused. */
  readonly stop: RunState;
  readonly cont: RunState | RegExp;
  /** Why it is refused; undefined: it is not. */
  readonly migrate?: RegExp;
}

const ROWS: readonly Row[] = [
  { state: "running", reach: async () => {}, stop: "paused", cont: "running" },
  { state: "paused", reach: ({ run }) => run.stop("paused"), stop: "paused", cont: "running" },
  {
    state: "finish-migrate",
    reach: async (source) => {
      source.migration.setCapabilities({ "pause-before-switchover": true });
      const receiver = await source.receiver();
      source.migration.migrate(receiver.uri);
      await source.reaches("pre-switchover");
    },
    stop: "finish-migrate",
    cont: /^Migration is not finalized yet$/u,
    migrate: /^There's a migration process in progress$/u,
  },
  {
    state: "postmigrate",
    reach: (source) => source.expectMigrates(),
    stop: "postmigrate",
    cont: /^The destination took over the guest; continue it there, not here$/u,
    migrate: /^Can't migrate the vm that was paused due to previous migration$/u,
  },
  {
    // The operator may know better than the source, which was not told.
    state: "postmigrate",
    reach: (source) => {
      source.migration.setCapabilities({ "return-path": false });
      return source.expectMigrates();
    },
    stop: "postmigrate",
    cont: "running",
    migrate: /^Can't migrate the vm that was paused due to previous migration$/u,
  },
  {
    state: "shutdown",
    reach: async ({ machine }) => {
      machine.finish();
      await machine.exited;
    },
    stop: "shutdown",
    cont: /^The guest program has ended$/u,
    migrate: /^The guest has ended: there is nothing to migrate$/u,
  },
  {
    state: "internal-error",
    reach: async ({ run }) => run.set("internal-error"),
    stop: "internal-error",
    cont: /^The guest is in run state 'internal-error' and cannot go to 'running'$/u,
    migrate: /^The guest has ended: there is nothing to migrate$/u,
  },
];

describe("a guest in run state", () => {
  test.each(ROWS)("$state: stop -> $stop, cont -> $cont, migrate -> $migrate", async (row) => {
    await using source = await Source.make();
    const { run, migration } = source;
    await row.reach(source);
    expect(run.state).toBe(row.state);
    if (row.migrate !== undefined) expect(() => migration.migrate(NOWHERE)).toThrow(row.migrate);
    else expect(() => migration.requireMigratable()).not.toThrow();
    await run.stop("paused");
    expect(run.state).toBe(row.stop);
    if (row.cont instanceof RegExp) {
      await expect(run.cont()).rejects.toThrow(row.cont);
      expect(run.state).toBe(row.stop);
    } else {
      await run.cont();
      expect(run.state).toBe(row.cont);
      await source.progress();
    }
  });

  test("prelaunch is sent as it is, and is in it again when that fails", async () => {
    await using source = await Source.make({ running: false });
    expect(source.run.state).toBe("prelaunch");
    source.migration.migrate(NOWHERE);
    expect(await source.ended()).toBe("failed");
    expect(source.run.state).toBe("prelaunch");
    await source.run.stop("paused");
    expect(source.run.state).toBe("prelaunch");
    await using receiver = await source.receiver();
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("completed");
    expect([receiver.runState, source.run.state]).toEqual(["prelaunch", "postmigrate"]);
  });

  test("inmigrate cannot be sent, and is told whether it is to run when it is there", async () => {
    const machine = TestMachine.destination();
    const run = new RunControl(machine, { initial: "inmigrate" });
    const migration = new OutgoingMigration({ machine, run });
    expect(() => migration.migrate(NOWHERE)).toThrow("Guest is waiting for an incoming migration");
    await run.stop("paused");
    expect([run.state, run.autostart]).toEqual(["inmigrate", false]);
    await run.cont();
    expect([run.state, run.autostart]).toEqual(["inmigrate", true]);
  });
});
