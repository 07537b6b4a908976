import { RunControl } from "@peregrine/shared-state";
import { TestMachine } from "@peregrine/shared-state/testing";
import { describe, expect, test } from "vitest";
import { OutgoingMigration } from "./outgoing-migration.ts";
import { CarriedTestMachine } from "./testing/carried-machine.ts";
import { Source } from "./testing/source.ts";

/** Nobody listens there. A port that was free a moment ago may be somebody else's now. */
const NOWHERE = "tcp:127.0.0.1:1";

describe("migrate is refused, with nothing changed,", () => {
  test("while a migration is in progress", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver({ prepared: new Promise(() => {}) });
    source.migration.migrate(receiver.uri);
    const refusal = "There's a migration process in progress";
    expect(() => source.migration.migrate(NOWHERE)).toThrow(refusal);
    expect(() => source.migration.setCapabilities({ events: true })).toThrow(refusal);
    await source.reaches("active");
    expect(() => source.migration.migrate(NOWHERE)).toThrow(refusal);
    source.migration.cancel();
    expect(source.migration.status).toBe("cancelling");
    expect(() => source.migration.migrate(NOWHERE)).toThrow(refusal);
    expect(await source.ended()).toBe("cancelled");
  });

  test("by the newest blocker", async () => {
    await using source = await Source.make();
    source.migration.addBlocker("the older reason");
    source.migration.addBlocker("the newer reason");
    expect(() => source.migration.migrate(NOWHERE)).toThrow("the newer reason");
    source.migration.removeBlocker("the newer reason");
    expect(() => source.migration.migrate(NOWHERE)).toThrow("the older reason");
    source.migration.removeBlocker("the older reason");
    source.migration.removeBlocker("never added");
    expect(source.migration.query()).toEqual({});
    await source.expectMigrates();
  });

  test("for a device that cannot be migrated", async () => {
    await using source = await Source.make();
    source.machine.devices.markUnmigratable("gpu");
    expect(() => source.migration.migrate(NOWHERE)).toThrow("State blocked by non-migratable device 'gpu'");
    expect(source.migration.status).toBe("none");
  });

  test("after a migration that completed", async () => {
    await using source = await Source.make();
    await source.expectMigrates();
    expect(() => source.migration.migrate(NOWHERE)).toThrow(
      "Can't migrate the vm that was paused due to previous migration",
    );
    expect(source.migration.status).toBe("completed");
  });

  test("where a guest is still to arrive", () => {
    const machine = TestMachine.destination();
    const run = new RunControl(machine, { initial: "inmigrate" });
    const migration = new OutgoingMigration({ machine, run });
    expect(() => migration.migrate(NOWHERE)).toThrow("Guest is waiting for an incoming migration");
  });

  test("where an image is still to arrive that is to stay here", () => {
    const closing = { late: [], ending: { kind: "end-mark" } } as const;
    const opening = { configuration: undefined, footers: false, early: [], uuid: undefined };
    const machine = new CarriedTestMachine({ opening, closing, blocks: [], memory: [] });
    const run = new RunControl(machine, { initial: "inmigrate" });
    const migration = new OutgoingMigration({ machine, run });
    expect(() => migration.migrate(NOWHERE)).toThrow("Guest is waiting for an incoming migration");
  });

  test("when the guest has ended", async () => {
    await using source = await Source.make();
    source.machine.finish();
    await source.machine.exited;
    expect(() => source.migration.migrate(NOWHERE)).toThrow(
      "The guest has ended: there is nothing to migrate",
    );
  });
});

describe("an address that is wrong", () => {
  test.each([
    ["carrier-pigeon:coop", "Parameter 'uri' expects a valid migration protocol"],
    ["nothing", "Parameter 'uri' expects a valid migration protocol"],
    ["tcp:127.0.0.1", "error parsing address '127.0.0.1'"],
    ["unix:", "invalid Unix socket address"],
  ])("%s is refused and leaves the state failed", async (uri, text) => {
    await using source = await Source.make();
    let notified = 0;
    source.migration.addNotifier(() => notified++);
    expect(() => source.migration.migrate(uri)).toThrow(text);
    expect(source.migration.query()).toEqual({ status: "failed", "error-desc": text });
    expect(notified).toBe(1);
    expect(source.statuses).toEqual(["setup", "failed"]);
    expect(source.run.state).toBe("running");
  });
});

describe("a destination that is not there", () => {
  test("a port that nobody listens on", async () => {
    await using source = await Source.make();
    source.migration.migrate(NOWHERE);
    expect(source.migration.query()).toEqual({ status: "setup" });
    expect(await source.ended()).toBe("failed");
    const text = "Failed to connect to '127.0.0.1:1': Connection refused";
    expect(source.migration.query()).toEqual({ status: "failed", "error-desc": text });
    await source.expectUntouched();
  });

  test("a socket that does not exist", async () => {
    await using source = await Source.make();
    source.migration.migrate("unix:/nowhere/peregrine.sock");
    await source.ended();
    expect(source.migration.error?.message).toBe(
      "Failed to connect to '/nowhere/peregrine.sock': No such file or directory",
    );
  });
});

describe("a parameter that is wrong", () => {
  test.each([
    [{ "max-bandwidth": -1 }, "Parameter 'max-bandwidth' expects uint64"],
    [
      { "max-bandwidth": 1, "downtime-limit": 2_000_001 },
      "Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms",
    ],
  ])("%o is refused and changes nothing", async (changes, text) => {
    await using source = await Source.make();
    const before = source.migration.queryParameters();
    expect(() => source.migration.setParameters(changes)).toThrow(text);
    expect(source.migration.queryParameters()).toEqual(before);
    expect(() => source.migration.setCapabilities({ nope: true })).toThrow(
      "Parameter 'capability' does not accept value 'nope'",
    );
  });
});
