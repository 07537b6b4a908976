import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crashingAccess } from "./testing/crashing-ram.ts";
import { Source } from "./testing/source.ts";
import type { ReceiverBehaviour } from "./testing/test-receiver.ts";

const MiB = 1 << 20;

/** Migrates to a receiver that lets it fail. @returns the reason. */
async function failedMigration(
  source: Source,
  behaviour: Omit<ReceiverBehaviour, "devices">,
): Promise<string> {
  await using receiver = await source.receiver(behaviour);
  source.migration.migrate(receiver.uri);
  expect(await source.ended()).toBe("failed");
  const reason = source.migration.error?.message ?? "";
  expect(source.migration.query()).toEqual({ status: "failed", "error-desc": reason });
  expect(reason).toContain(receiver.uri.slice("tcp:".length));
  return reason;
}

describe("a destination that", () => {
  test("refuses the guest", async () => {
    await using source = await Source.make();
    expect(await failedMigration(source, { shut: 1 })).toMatch(/could not load the guest \(status 1\)/u);
    await source.expectUntouched();
    await source.expectMigrates();
  });

  test("closes instead of confirming", async () => {
    await using source = await Source.make();
    expect(await failedMigration(source, { shut: "close" })).toMatch(/without confirming/u);
    await source.expectUntouched();
  });

  test("never confirms", async () => {
    // The answers in front of that have the same limit, and a busy machine may stand still for a while.
    await using source = await Source.make({ timeouts: { confirm: 3000 } });
    expect(await failedMigration(source, { shut: "nothing" })).toMatch(/did not confirm within 3 s/u);
    await source.expectUntouched();
  });

  test("sends garbage", async () => {
    await using source = await Source.make();
    const greeting = new TextEncoder().encode("220 mail.example.org ESMTP\r\n");
    const reason = await failedMigration(source, { greeting, prepared: new Promise(() => {}) });
    expect(reason).toMatch(/broke the protocol of the return path: Unknown return path message type 12850/u);
    await source.expectUntouched();
  });

  test("goes away anywhere in the stream", async () => {
    await using source = await Source.make();
    await fc.assert(
      fc.asyncProperty(
        // Less than the least that is sent; small values hit the setup stage.
        fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 800_000 })),
        async (dropAt) => {
          await failedMigration(source, { dropAt });
          expect(source.run.state).toBe("running");
          await source.progress();
        },
      ),
      { numRuns: 10 },
    );
    await source.expectUntouched();
    await source.expectMigrates();
  });
});

describe("a migration thread that", () => {
  test.each([
    ["exit", "The migration thread ended unexpectedly with exit code 3"],
    ["throw", "The migration thread failed: the memory is gone"],
    ["open", "no such memory"],
  ] as const)("crashes (%s)", async (crash, text) => {
    await using source = await Source.make();
    const access = source.machine.ram();
    source.machine.ram = () => crashingAccess(access, crash);
    await using receiver = await source.receiver({ prepared: new Promise(() => {}) });
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("failed");
    expect(source.migration.error?.message).toBe(text);
    await source.expectUntouched();
    source.machine.ram = () => access;
    await source.expectMigrates();
  });
});

describe("a guest that", () => {
  test("ends by itself during the migration", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver({ prepared: new Promise(() => {}) });
    source.migration.migrate(receiver.uri);
    await source.reaches("active");
    source.machine.finish({ kind: "exit", status: 3 });
    expect(await source.ended()).toBe("failed");
    expect(source.migration.error).toMatchObject({
      code: "GUEST_ENDED",
      message: "The guest ended during the migration, with exit status 3",
    });
    // The end of the connection may meet an answer that is on its way.
    expect((await receiver.over)?.code).toMatch(/TRUNCATED|CHANNEL_FAILED/u);
    expect(receiver.items).not.toContain("end mark");
    expect(source.run.state).toBe("shutdown");
  });

  test("ends when it is about to be stopped", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver();
    source.machine.stop = async () => source.machine.finish({ kind: "trap", message: "unreachable" });
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("failed");
    expect(source.migration.error?.message).toBe(
      "The guest ended during the migration, by a trap: unreachable",
    );
    // The end of the connection may meet an answer that is on its way.
    expect((await receiver.over)?.code).toMatch(/TRUNCATED|CHANNEL_FAILED/u);
    expect(receiver.items).not.toContain("end mark");
  });

  test("cannot be stopped", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver();
    const stop = source.machine.stop.bind(source.machine);
    source.machine.stop = () => Promise.reject(new Error("the guest does not listen"));
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("failed");
    expect(source.migration.error?.message).toBe("the guest does not listen");
    source.machine.stop = stop;
    await source.expectUntouched();
  });

  test("cannot save a device", async () => {
    await using source = await Source.make({ dirtyRate: MiB });
    let broken = true;
    source.machine.devices.register({
      description: { name: "fragile", version: 1, fields: [{ name: "value", type: "uint8" }] },
      instance: 0,
      early: false,
      save: () => {
        if (broken) throw new Error("a file is missing");
        return { value: 1 };
      },
      load: () => {},
    });
    await using receiver = await source.receiver();
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("failed");
    expect(source.migration.error).toMatchObject({ code: "DEVICE_STATE" });
    expect(source.migration.error?.message).toContain("a file is missing");
    expect(receiver.items).not.toContain("ram end");
    await source.expectUntouched();
    broken = false;
    await source.expectMigrates();
  });
});
