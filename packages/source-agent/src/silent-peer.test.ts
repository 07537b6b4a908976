import { MigrationError } from "@peregrine/protocol";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { SilentPeer } from "./silent-peer.ts";
import { CarriedReader } from "./testing/carried-reader.ts";
import { FakeChannel } from "./testing/fake-channel.ts";
import { Source } from "./testing/source.ts";

async function watch(options: { complete?: boolean; error?: MigrationError; incoming?: Uint8Array[] }) {
  const channel = new FakeChannel({ incoming: options.incoming ?? [] });
  channel.error = options.error;
  const errors: MigrationError[] = [];
  const peer = new SilentPeer({ channel, failed: (error) => errors.push(error) });
  if (options.complete === true) peer.streamComplete();
  await peer.run();
  return errors.map((error) => [error.code, error.message]);
}

describe("a destination that is not to answer", () => {
  test("may say what it likes, and close when it has everything", async () => {
    expect(await watch({ complete: true, incoming: [new Uint8Array(100).fill(0xff)] })).toEqual([]);
  });

  test("may not close before", async () => {
    expect(await watch({})).toEqual([
      [
        "CHANNEL_FAILED",
        "The destination '127.0.0.1:4444' closed the connection during the migration; its own log may say why",
      ],
    ]);
  });

  test("is named when the channel breaks", async () => {
    const cause = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
    const error = new MigrationError("CHANNEL_FAILED", "Connection to 'x' failed: Connection reset by peer", {
      cause,
    });
    expect(await watch({ error })).toEqual([
      [
        "CHANNEL_FAILED",
        "The destination '127.0.0.1:4444' broke off the migration, and its own log may say why: " +
          "Connection to 'x' failed: Connection reset by peer",
      ],
    ]);
  });
});

describe("a migration without a return path", () => {
  test("asks for nothing, and completes when everything is sent", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver({ shut: "nothing" });
    source.migration.setCapabilities({ "return-path": false });
    source.migration.migrate(receiver.uri);
    expect([await source.ended(), source.migration.error]).toEqual(["completed", undefined]);
    // The receiver reads on until the stream is ended.
    expect(await receiver.over).toBeUndefined();
    source.expectSame(receiver);
    expect(receiver.items.filter((item) => item !== "ram part")).toEqual([
      "configuration test-1",
      "test-layout full",
      "ram start",
      "ram end",
      "test-guest full",
      "globalstate full",
      "end mark",
      "vmdescription",
    ]);
    expect(source.migration).toMatchObject({ confirmed: false, ownership: "undecided" });
    expect(source.run).toMatchObject({ state: "postmigrate", handedOver: false });
    // Nobody knows better than who operates it: the guest may be taken back.
    await source.run.cont();
    expect(source.migration.ownership).toBe("owner");
  });

  test("says with one that the destination has confirmed", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver();
    expect(source.migration.confirmed).toBe(false);
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("completed");
    expect(source.migration).toMatchObject({ confirmed: true, ownership: "not-owner" });
  });

  test("fails when the destination goes away, and leaves the guest running", async () => {
    for (const dropAt of [1, 400_000]) {
      await using source = await Source.make();
      await using receiver = await source.receiver({ dropAt });
      // Without a limit the kernel has all of it before the connection ends.
      source.migration.setSpeed(8 << 20);
      // A receiver that comes to read late has all of it, too: then it goes away before the source is told to go on.
      source.migration.setCapabilities({ "return-path": false, "pause-before-switchover": true });
      source.migration.migrate(receiver.uri);
      expect(await source.ended()).toBe("failed");
      expect(source.migration.error).toMatchObject({ code: "CHANNEL_FAILED" });
      expect(source.migration.error?.message).toContain(receiver.uri.slice("tcp:".length));
      await source.expectUntouched();
      source.migration.setCapabilities({ "return-path": true, "pause-before-switchover": false });
      await source.expectMigrates();
    }
  });

  test("is what a migration into a file is, whatever the capability says", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "peregrine-"));
    await using source = await Source.make();
    source.migration.migrate(`file:${folder}/stream`);
    expect([await source.ended(), source.migration.error]).toEqual(["completed", undefined]);
    expect(source.migration.confirmed).toBe(false);
    const reader = new CarriedReader(true);
    reader.push(await readFile(path.join(folder, "stream")));
    const { memory, closing } = reader.end();
    expect(closing.late.map(({ name }) => name)).toEqual(["test-guest", "globalstate"]);
    for (const [block, bytes] of source.memory().entries()) {
      expect(Buffer.compare(bytes, memory[block]!.subarray(0, bytes.length))).toBe(0);
    }
    expect(reader.commands).toEqual([]);
    await rm(folder, { recursive: true });
  });
});
