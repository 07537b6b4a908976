import * as fc from "fast-check";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Source } from "./testing/source.ts";

const MiB = 1 << 20;

describe("a cancel", () => {
  test("does nothing when no migration is under way", async () => {
    await using source = await Source.make();
    source.migration.cancel();
    expect(source.migration.query()).toEqual({});
    await source.expectMigrates();
    source.migration.cancel();
    expect(source.migration.status).toBe("completed");
  });

  test("right after migrate", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver();
    source.migration.migrate(receiver.uri);
    source.migration.cancel();
    source.migration.cancel();
    expect(await source.ended()).toBe("cancelled");
    expect(source.migration.query()).toEqual({ status: "cancelled" });
    expect(source.statuses).toEqual(["setup", "cancelling", "cancelled"]);
    await source.expectUntouched();
    await source.expectMigrates();
  });

  test.each([
    "configuration test-1",
    "ping 2",
    "ram start",
    "page",
    "ram part",
    "ram end",
    "test-guest full",
  ])("when the destination has read '%s'", async (phase) => {
    // Slow enough that the stream cannot be complete by then, unless the guest stands still already.
    await using source = await Source.make({ dirtyRate: MiB });
    const late = phase === "ram end" || phase === "test-guest full";
    await using receiver = await source.receiver({
      prepared: late ? Promise.resolve() : new Promise(() => {}),
      shut: "nothing",
      onItem: (item) => {
        if (item === phase) source.migration.cancel();
      },
    });
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("cancelled");
    expect(source.statuses.at(-2)).toBe("cancelling");
    await source.expectUntouched();
  });

  test("while the guest is being stopped", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver();
    const stop = source.machine.stop.bind(source.machine);
    source.machine.stop = async () => {
      source.migration.cancel();
      await stop();
    };
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("cancelled");
    expect((await receiver.over)?.code).toMatch(/TRUNCATED|CHANNEL_FAILED/u);
    source.machine.stop = stop;
    await source.expectUntouched();
    await source.expectMigrates();
  });

  test("of a stream that is complete takes the guest back if the destination lets go of it", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver({ shut: "nothing" });
    source.migration.migrate(receiver.uri);
    while (source.migration.ownership !== "undecided") await delay(1);
    source.migration.cancel();
    expect(source.migration.status).toBe("active");
    expect(await source.ended()).toBe("cancelled");
    expect(source.statuses).toEqual(["setup", "active", "cancelling", "cancelled"]);
    expect(source.migration.ownership).toBe("owner");
    await source.expectUntouched();
    await source.expectMigrates();
  });

  test("of a stream that is complete comes too late if the destination has confirmed", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver({
      onItem: (item) => {
        if (item === "vmdescription") source.migration.cancel();
      },
    });
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("completed");
    expect(source.run.state).toBe("postmigrate");
    expect(source.machine.running).toBe(false);
  });

  test("at any moment leaves the guest at exactly one end", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 400 }), async (ms) => {
        await using source = await Source.make({ dirtyRate: 20 * MiB });
        await using receiver = await source.receiver();
        source.migration.migrate(receiver.uri);
        await delay(ms);
        source.migration.cancel();
        const end = await source.ended();
        if (end === "completed") {
          expect(source.run.state).toBe("postmigrate");
          source.expectSame(receiver);
        } else {
          expect(end).toBe("cancelled");
          await source.expectUntouched();
          await source.expectMigrates();
        }
      }),
      { numRuns: 8 },
    );
  });
});
