import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Source } from "./testing/source.ts";
import type { SourceOptions } from "./testing/source.ts";
import type { TestReceiver } from "./testing/test-receiver.ts";

const MiB = 1 << 20;

/** A source that stops before the switchover. */
async function pausing(options: SourceOptions = {}): Promise<Source> {
  const source = await Source.make({ dirtyRate: 20 * MiB, ...options });
  source.migration.setCapabilities({ "pause-before-switchover": true });
  return source;
}

/** Migrates as far as the pause. */
async function pause(source: Source, receiver: TestReceiver): Promise<void> {
  source.migration.migrate(receiver.uri);
  expect(await source.reaches("pre-switchover", "completed", "failed")).toBe("pre-switchover");
}

describe("a migration with pause-before-switchover", () => {
  test("stops the guest and sends nothing more until it is continued", async () => {
    await using source = await pausing();
    await using receiver = await source.receiver();
    await pause(source, receiver);
    expect(source.run.state).toBe("finish-migrate");
    expect(source.machine.running).toBe(false);
    expect(source.migration.ownership).toBe("owner");
    expect(source.migration.query()).toMatchObject({ status: "pre-switchover", ram: { total: 272 * 4096 } });
    await expect(source.run.cont()).rejects.toThrow("Migration is not finalized yet");
    await source.run.stop("paused");
    expect(source.run.state).toBe("finish-migrate");
    const refusal = "There's a migration process in progress";
    expect(() => source.migration.setCapabilities({ events: true })).toThrow(refusal);
    expect(() => source.migration.migrate(receiver.uri)).toThrow(refusal);
    expect(receiver.items).not.toContain("ram end");

    source.migration.continueMigration("pre-switchover");
    expect(source.migration.query()).toMatchObject({ status: "device" });
    expect(await source.ended()).toBe("completed");
    expect(source.statuses).toEqual(["setup", "active", "pre-switchover", "device", "completed"]);
    expect(source.run.state).toBe("postmigrate");
    source.machine.verify();
    source.expectSame(receiver);
  });

  test("counts the pause as downtime, and not as time that the destination takes to confirm", async () => {
    // What the destination answers has this limit, and a busy machine may stand still for a while.
    await using source = await pausing({ timeouts: { confirm: 3000 } });
    await using receiver = await source.receiver();
    await pause(source, receiver);
    await delay(3200);
    source.migration.continueMigration("pre-switchover");
    expect(await source.ended()).toBe("completed");
    const { pause: paused, total } = source.migration.downtimeBreakdown!;
    expect(paused).toBeGreaterThanOrEqual(3190);
    expect(total).toBeGreaterThanOrEqual(paused);
    expect(source.migration.statistics.downtime).toBe(Math.round(total));
  });

  test("pauses each time", async () => {
    await using source = await pausing();
    for (let n = 0; n < 2; n++) {
      await using receiver = await source.receiver({ shut: 1 });
      await pause(source, receiver);
      source.migration.continueMigration("pre-switchover");
      expect(await source.ended()).toBe("failed");
    }
    expect(source.statuses.filter((status) => status === "device")).toHaveLength(2);
  });

  test("goes on as a guest that is paused goes, if it was", async () => {
    await using source = await pausing();
    await source.run.stop("paused");
    await using receiver = await source.receiver();
    await pause(source, receiver);
    source.migration.cancel();
    expect(await source.ended()).toBe("cancelled");
    expect(source.run.state).toBe("paused");
  });
});

describe("a paused switchover leaves the guest running here when", () => {
  test("it is cancelled", async () => {
    await using source = await pausing();
    await using receiver = await source.receiver();
    await pause(source, receiver);
    source.migration.cancel();
    expect(() => source.migration.continueMigration("pre-switchover")).toThrow(
      "Migration not in expected state: cancelling",
    );
    expect(await source.ended()).toBe("cancelled");
    expect(source.statuses).toEqual(["setup", "active", "pre-switchover", "cancelling", "cancelled"]);
    expect(receiver.items).not.toContain("ram end");
    await source.expectUntouched();
  });

  test("the destination dies", async () => {
    await using source = await pausing();
    const receiver = await source.receiver();
    await pause(source, receiver);
    await receiver[Symbol.asyncDispose]();
    expect(await source.ended()).toBe("failed");
    expect(source.statuses).toEqual(["setup", "active", "pre-switchover", "failed"]);
    expect(source.migration.error?.code).toBe("CHANNEL_FAILED");
    await source.expectUntouched();
  });

  test("a destination that does not answer dies", async () => {
    await using source = await pausing();
    source.migration.setCapabilities({ "return-path": false });
    const receiver = await source.receiver();
    await pause(source, receiver);
    await receiver[Symbol.asyncDispose]();
    expect(await source.ended()).toBe("failed");
    expect(source.run.state).toBe("running");
  });

  test("it was continued and is cancelled then", async () => {
    await using source = await pausing();
    await using receiver = await source.receiver({
      shut: "nothing",
      onItem: (item) => {
        if (item === "test-guest full") source.migration.cancel();
      },
    });
    await pause(source, receiver);
    source.migration.continueMigration("pre-switchover");
    expect(await source.ended()).toBe("cancelled");
    expect(source.statuses.slice(2)).toEqual(["pre-switchover", "device", "cancelling", "cancelled"]);
    await source.expectUntouched();
  });

  test("it was continued and the destination refuses", async () => {
    await using source = await pausing();
    await using receiver = await source.receiver({ shut: 1 });
    await pause(source, receiver);
    source.migration.continueMigration("pre-switchover");
    expect(await source.ended()).toBe("failed");
    expect(source.statuses.slice(2)).toEqual(["pre-switchover", "device", "failed"]);
    await source.expectUntouched();
    source.migration.setCapabilities({ "pause-before-switchover": false });
    await source.expectMigrates();
  });
});

describe("continuing a migration", () => {
  test.each([
    ["pre-switchover", "Migration not in expected state: none"],
    ["device", "Migration not in expected state: none"],
    ["nope", "Parameter 'state' does not accept value 'nope'"],
    ["toString", "Parameter 'state' does not accept value 'toString'"],
  ])("that was never begun, from %s, is refused", async (state, text) => {
    await using source = await Source.make();
    expect(() => source.migration.continueMigration(state)).toThrow(text);
    expect(source.migration.status).toBe("none");
  });

  test("from another state than it is in is refused, and changes nothing", async () => {
    await using source = await pausing();
    await using receiver = await source.receiver();
    await pause(source, receiver);
    for (const state of ["active", "device", "completed"]) {
      expect(() => source.migration.continueMigration(state)).toThrow(
        "Migration not in expected state: pre-switchover",
      );
    }
    expect(source.migration.status).toBe("pre-switchover");
    source.migration.continueMigration("pre-switchover");
    expect(() => source.migration.continueMigration("pre-switchover")).toThrow(
      "Migration not in expected state: device",
    );
    expect(await source.ended()).toBe("completed");
  });

  test("that is not paused does nothing", async () => {
    await using source = await pausing();
    const prepared = Promise.withResolvers<void>();
    await using receiver = await source.receiver({ prepared: prepared.promise });
    source.migration.migrate(receiver.uri);
    await source.reaches("active");
    source.migration.continueMigration("active");
    prepared.resolve();
    expect(await source.reaches("pre-switchover", "completed")).toBe("pre-switchover");
  });
});
