import { ALL_EXTENSIONS } from "@peregrine/protocol";
import { CHUNK_SIZE } from "@peregrine/shared-state";
import { intervalTicker, TestDrives, TestImage } from "@peregrine/shared-state/testing";
import { describe, expect, test } from "vitest";
import { closedGate, heldAccess, letGo } from "./testing/held-drives.ts";
import { Source } from "./testing/source.ts";
import type { SourceOptions } from "./testing/source.ts";

const MiB = 1 << 20;

interface SourceWithDrives extends AsyncDisposable {
  readonly source: Source;
  readonly drives: TestDrives;
  readonly images: { readonly db: TestImage; readonly log: TestImage };
}

/** A guest that writes to its drives all the time. */
async function make(options: SourceOptions = {}): Promise<SourceWithDrives> {
  const images = { db: new TestImage(5 * MiB + 512), log: new TestImage(2 * MiB) };
  const drives = TestDrives.held(images);
  let count = 0;
  const source = await Source.make({
    ...options,
    drives,
    ticker: (tick) =>
      intervalTicker()((ms) => {
        tick(ms);
        count++;
        drives.write(0, (count * 4096) % (5 * MiB), Buffer.from([count]));
        drives.write(1, count % 512, Buffer.from([count]));
      }),
  });
  return { source, drives, images, [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() };
}

function expectContents(
  drives: Readonly<Record<string, Uint8Array>>,
  images: SourceWithDrives["images"],
): void {
  for (const [id, { bytes }] of Object.entries(images)) {
    const image = new Uint8Array(bytes);
    expect(Buffer.compare(drives[id]!.subarray(0, image.length), image), id).toBe(0);
    expect(drives[id]!.length % CHUNK_SIZE).toBe(0);
  }
}

describe("the contents of drives", () => {
  test("arrive as the guest has written them, in front of its memory", async () => {
    const { source, images, drives, ...made } = await make();
    await using _ = made;
    const holders: [item: string, held: boolean][] = [];
    await using receiver = await source.receiver({
      onItem: (item) => {
        if (item.endsWith("start") || item === "end mark")
          holders.push([item, images.db.holder === drives && images.log.holder === drives]);
      },
    });
    source.migration.migrate(receiver.uri, { storage: "all" });
    expect([await source.ended(), source.migration.error?.message]).toEqual(["completed", undefined]);
    expect(holders).toEqual([
      ["block start", true],
      ["ram start", true],
      ["end mark", false],
    ]);
    expectContents(receiver.drives, images);
    source.expectSame(receiver);
    const { diskTotal, diskRemaining, diskTransferred } = source.migration.statistics;
    expect([diskTotal, diskRemaining]).toEqual([7 * MiB + 512, 0]);
    expect(diskTransferred).toBeGreaterThanOrEqual(diskTotal);
  });

  test("are left out of what both sides share", async () => {
    const { source, images, ...made } = await make({ running: false });
    await using _ = made;
    new Uint8Array(images.db.held)[1] = 1;
    new Uint8Array(images.db.bytes).fill(7, MiB, 2 * MiB);
    await using receiver = await source.receiver();
    source.migration.migrate(receiver.uri, { storage: "inc" });
    expect(await source.ended()).toBe("completed");
    expect(Object.keys(receiver.drives)).toEqual(["db"]);
    expect(receiver.drives["db"]!.indexOf(7)).toBe(MiB);
    expect(source.migration.statistics.diskTransferred).toBe(MiB);
  });

  test("are not sent unless somebody asks for it", async () => {
    const { source, images, drives, ...made } = await make();
    await using _ = made;
    await using receiver = await source.receiver();
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("completed");
    expect(receiver.items).not.toContain("block start");
    // The destination takes them from shared storage.
    expect(images.db.holder).toBeUndefined();
    expect(drives.calls.at(-1)).toBe("release");
  });

  test("cannot be sent where there are none", async () => {
    await using source = await Source.make();
    for (const [storage, parameter] of [
      ["all", "blk"],
      ["inc", "inc"],
    ] as const) {
      const message = `Parameter '${parameter}' cannot be true: the guest has no disks to migrate`;
      expect(() => source.migration.migrate("unix:/x", { storage })).toThrow(
        expect.objectContaining({ code: "BAD_PARAMETER", message }),
      );
    }
    expect(source.migration.query()).toEqual({});
  });

  test("are counted, and arrive also at a limit and with a short downtime", async () => {
    const { source, images, ...made } = await make();
    await using _ = made;
    await using receiver = await source.receiver();
    source.migration.setSpeed(16 * MiB);
    source.migration.setDowntime(1);
    source.migration.migrate(receiver.uri, { storage: "all" });
    await source.reaches("active");
    expect(source.migration.query()).toMatchObject({ disk: { total: 7 * MiB + 512 } });
    expect(await source.ended()).toBe("completed");
    expectContents(receiver.drives, images);
  });
});

test("a source that waits for its drives says that it lives", async () => {
  const { source, images, drives, ...made } = await make({ timeouts: { silence: 0 } });
  await using _ = made;
  const gate = closedGate();
  const outgoing = drives.outgoing.bind(drives);
  drives.outgoing = () => heldAccess(outgoing(), gate);
  await using receiver = await source.receiver({
    extensions: ALL_EXTENSIONS,
    onItem: (item) => {
      if (item === "alive") letGo(gate);
    },
  });
  source.migration.migrate(receiver.uri, { storage: "all" });
  expect([await source.ended(), source.migration.error?.message]).toEqual(["completed", undefined]);
  expectContents(receiver.drives, images);
});

test("a source that writes its drives back says that it lives", async () => {
  const { source, images, drives, ...made } = await make({ timeouts: { silence: 0 } });
  await using _ = made;
  const heard = Promise.withResolvers<void>();
  let isReleasing = false;
  const release = drives.release.bind(drives);
  drives.release = async () => {
    isReleasing = true;
    await heard.promise;
    await release();
  };
  await using receiver = await source.receiver({
    extensions: ALL_EXTENSIONS,
    onItem: (item) => {
      if (item === "alive" && isReleasing) heard.resolve();
    },
  });
  source.migration.migrate(receiver.uri, { storage: "all" });
  expect([await source.ended(), source.migration.error?.message]).toEqual(["completed", undefined]);
  expectContents(receiver.drives, images);
});

describe("the drives stay with the guest", () => {
  test("when the migration is cancelled in the first pass", async () => {
    const { source, images, drives, ...made } = await make();
    await using _ = made;
    await using receiver = await source.receiver();
    source.migration.setSpeed(MiB);
    source.migration.migrate(receiver.uri, { storage: "all" });
    await source.reaches("active");
    while (source.migration.statistics.diskTransferred === 0) await source.progress();
    source.migration.cancel();
    expect(await source.ended()).toBe("cancelled");
    expect(drives.calls).not.toContain("release");
    await source.expectUntouched();
    expect(images.db.holder).toBe(drives);
    source.migration.setSpeed(0);
    await using next = await source.receiver();
    source.migration.migrate(next.uri, { storage: "all" });
    expect(await source.ended()).toBe("completed");
    expectContents(next.drives, images);
  });

  test.each(["running", "paused"] as const)(
    "when the destination refuses a guest that is %s",
    async (state) => {
      const { source, images, drives, ...made } = await make();
      await using _ = made;
      if (state === "paused") await source.run.stop("paused");
      await using receiver = await source.receiver({ shut: 1 });
      source.migration.migrate(receiver.uri, { storage: "all" });
      expect(await source.ended()).toBe("failed");
      expect(drives.calls).toContain("release");
      expect(images.log.holder).toBe(drives);
      expect(source.run.state).toBe(state);
    },
  );

  test("when the destination gives them up a moment after it has refused", async () => {
    const { source, images, drives, ...made } = await make();
    await using _ = made;
    const there = TestDrives.awaited(images);
    await using receiver = await source.receiver({
      shut: 1,
      onItem: (item) => void (item === "end mark" && there.lock()),
    });
    source.migration.migrate(receiver.uri);
    await receiver.over;
    while (drives.calls.filter((call) => call === "reclaim").length < 4) await nextTurn();
    await there.discard();
    expect(await source.ended()).toBe("failed");
    expect(source.run.state).toBe("running");
    expect(images.db.holder).toBe(drives);
  });

  test("or it is paused, and goes on when it has them again", async () => {
    const { source, images, drives, ...made } = await make({ timeouts: { reclaim: 50 } });
    await using _ = made;
    const there = TestDrives.awaited(images);
    await using receiver = await source.receiver({
      shut: 1,
      onItem: (item) => void (item === "end mark" && there.lock()),
    });
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("failed");
    expect(source.migration.error?.message).toContain(
      "; the guest could not be continued here: The drive 'db' is in use elsewhere",
    );
    expect(source.run.state).toBe("paused");
    const inUse = expect.objectContaining({ code: "DRIVE_LOCKED" });
    await expect(source.run.cont()).rejects.toEqual(inUse);
    expect(source.run.state).toBe("paused");
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("failed");
    expect(source.migration.error).toEqual(inUse);
    await there.discard();
    await source.run.cont();
    await source.progress();
    expect(images.db.holder).toBe(drives);
  });
});

test("who continues a guest here that was sent takes its drives back", async () => {
  const { source, images, drives, ...made } = await make();
  await using _ = made;
  const there = TestDrives.awaited(images);
  source.migration.setCapabilities({ "return-path": false });
  await using receiver = await source.receiver();
  source.migration.migrate(receiver.uri);
  expect(await source.ended()).toBe("completed");
  await there.takeOver();
  await expect(source.run.cont()).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
  expect(source.run.state).toBe("postmigrate");
  await there.discard();
  await source.run.cont();
  expect(images.db.holder).toBe(drives);
});

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 1);
  });
}
