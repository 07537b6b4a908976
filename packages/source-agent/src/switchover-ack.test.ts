import { describe, expect, test } from "vitest";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Source } from "./testing/source.ts";
import type { SourceOptions } from "./testing/source.ts";

const NEVER = new Promise<void>(() => {});

async function waiting(timeouts: NonNullable<SourceOptions["timeouts"]> = {}): Promise<Source> {
  const source = await Source.make({ timeouts });
  source.migration.setCapabilities({ "switchover-ack": true });
  return source;
}

describe("a migration with switchover-ack", () => {
  test("says so, and keeps the guest running until the destination has acknowledged", async () => {
    await using source = await waiting();
    const acknowledged = Promise.withResolvers<void>();
    await using receiver = await source.receiver({ acknowledged: acknowledged.promise });
    source.migration.migrate(receiver.uri);
    await source.reaches("active");
    // Everything was sent several times over.
    while (source.migration.statistics.dirtySyncCount < 5) await source.progress();
    // The kernel may have all of it, and the receiver nothing yet.
    while (receiver.items.length === 0) await source.progress();
    expect(receiver.items[0]).toBe("configuration test-1 switchover-ack");
    expect(receiver.items).not.toContain("ram end");
    expect(source.run.state).toBe("running");
    acknowledged.resolve();
    expect(await source.ended()).toBe("completed");
    source.expectSame(receiver);
  });

  test("can be cancelled while it waits", async () => {
    await using source = await waiting();
    await using receiver = await source.receiver();
    source.migration.migrate(receiver.uri);
    await source.reaches("active");
    while (source.migration.statistics.dirtySyncCount < 3) await source.progress();
    source.migration.cancel();
    expect(await source.ended()).toBe("cancelled");
    await source.expectUntouched();
    source.migration.setCapabilities({ "switchover-ack": false });
    await source.expectMigrates();
  });

  // They wait at the same time.
  test.concurrent.each([
    ["acknowledges", { switchoverAck: true }, {}, "that it can take over"],
    ["prepares", { switchoverAck: false }, { prepared: NEVER }, "that it can take over"],
    ["catches up", { switchoverAck: false }, { catchesUp: false }, "that it has loaded what was sent"],
  ] as const)(
    "gives up a destination of QEMU's protocol that never %s",
    async (_, { switchoverAck }, behaviour, what) => {
      // What is answered has this limit, too, and a busy machine may stand still for a while.
      await using source = await waiting({ confirm: 3000 });
      source.migration.setCapabilities({ "switchover-ack": switchoverAck });
      await using receiver = await source.receiver(behaviour);
      source.migration.migrate(receiver.uri);
      expect(await source.ended()).toBe("failed");
      expect(source.migration.error).toMatchObject({
        code: "PEER_SILENT",
        message: expect.stringMatching(
          new RegExp(
            String.raw`^The destination '.*' has not said for [\d.]+ s ${what}: it is dead, frozen or cut off$`,
          ),
        ),
      });
      await source.expectUntouched();
      source.migration.setCapabilities({ "switchover-ack": false });
      await source.expectMigrates();
    },
  );

  test("into a file waits for nobody", async () => {
    const folder = await mkdtemp(join(tmpdir(), "peregrine-"));
    await using source = await waiting();
    source.migration.migrate(`file:${folder}/guest`);
    expect(await source.ended()).toBe("completed");
    await rm(folder, { recursive: true });
  });

  test("needs the return path", async () => {
    await using source = await waiting();
    const refusal = "Capability 'switchover-ack' requires capability 'return-path'";
    expect(() => source.migration.setCapabilities({ "return-path": false })).toThrow(refusal);
    source.migration.setCapabilities({ "switchover-ack": false, "return-path": false });
    expect(() => source.migration.setCapabilities({ "switchover-ack": true })).toThrow(refusal);
    expect(source.migration.queryCapabilities()).toMatchObject({
      "switchover-ack": false,
      "return-path": false,
    });
  });
});
