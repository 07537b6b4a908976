import { encodeBlockProgress, MigrationError } from "@peregrine/protocol";
import { TestDrives, TestImage } from "@peregrine/shared-state/testing";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { closeAll, expectFailed, listening } from "../test/arrival.ts";
import { driveStream, putChunk, putZeros } from "../test/drive-stream.ts";
import { SMALL, stoppedSource } from "../test/machines.ts";
import { TestStream } from "../test/stream-maker.ts";

const MiB = 1 << 20;

let stream: TestStream;
/** One without contents of drives. */
let shared: TestStream;
let image: TestImage;
let drives: TestDrives;

beforeAll(async () => {
  const end = (w: Parameters<typeof putChunk>[0]): void => {
    putChunk(w, "db", 0, 7);
    putZeros(w, "db", 1);
  };
  stream = await driveStream({ part: (w) => encodeBlockProgress(w, 50), end });
  shared = await TestStream.of((await stoppedSource(SMALL)).machine);
});

beforeEach(() => {
  image = new TestImage(2 * MiB);
  new Uint8Array(image.bytes).fill(1);
  drives = TestDrives.awaited({ db: image });
});

afterEach(closeAll);

/** The first byte of each chunk. */
function contents(): number[] {
  const bytes = new Uint8Array(image.bytes);
  return [bytes[0]!, bytes[MiB]!];
}

function expectNothingLeft(): void {
  expect(contents()).toEqual([1, 1]);
  expect(image.holder).toBeUndefined();
  expect(drives.calls.at(-1)).toBe("discard");
}

describe("drives of a guest that arrives", () => {
  test("are locked before the source is told, and have their contents before the guest runs", async () => {
    const seen: unknown[] = [];
    const { incoming, guest, connect } = await listening({
      drives,
      accept: async () => void seen.push(["accept", image.holder === drives, contents()]),
      announce: () => seen.push(["announce", contents()]),
    });
    guest.run.subscribe(({ name }) => seen.push([name, contents()]));
    const sender = await connect();
    await sender.send(stream.bytes);
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
    expect(seen).toEqual([
      ["accept", true, [1, 1]],
      ["announce", [1, 1]],
      ["RESUME", [7, 0]],
    ]);
    expect(image.holder).toBe(drives);
    expect(drives.calls.slice(0, 2)).toEqual(["lock", "takeOver"]);
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 0 });
  });

  test("are untouched until everything is there", async () => {
    const { incoming, connect } = await listening({ drives });
    const sender = await connect();
    await sender.channel.write(stream.upTo("end-mark"));
    // The answer to PING 2 comes when the devices before memory are loaded.
    await sender.received(2);
    expect(contents()).toEqual([1, 1]);
    expect(drives.calls).toEqual([]);
    await sender.send(stream.bytes.subarray(stream.offsetOf("end-mark")));
    expect(await incoming.done).toMatchObject({ kind: "loaded" });
    expect(contents()).toEqual([7, 0]);
  });

  test("are taken from shared storage, if no contents come", async () => {
    const { incoming, connect } = await listening({ drives });
    await (await connect()).send(shared.bytes);
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
    expect(contents()).toEqual([1, 1]);
    expect(image.holder).toBe(drives);
  });

  test("are taken by a guest that arrives paused, too", async () => {
    const { incoming, connect } = await listening({ drives, autostart: false });
    await (await connect()).send(stream.bytes);
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "paused" });
    expect(contents()).toEqual([7, 0]);
    expect(image.holder).toBe(drives);
  });

  test("say how much of them has come", async () => {
    const percents: number[] = [];
    const { incoming, connect } = await listening({
      drives,
      drivesProgress: (percent) => void percents.push(percent),
    });
    await (await connect()).send(stream.bytes);
    await incoming.done;
    expect(percents).toEqual([50, 100]);
  });
});

describe("nothing of drives is left", () => {
  test("that are in use elsewhere: the guest stays at the source", async () => {
    const other = TestDrives.held({ db: image });
    const arrival = await listening({ drives });
    const sender = await arrival.connect();
    await sender.send(stream.bytes);
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
    await expectFailed(arrival, "DRIVE_LOCKED", "The drive 'db' is in use elsewhere");
    expect(image.holder).toBe(other);
    await other.release();
    expectNothingLeft();
  });

  test("when the stream is cut off", async () => {
    const arrival = await listening({ drives });
    const sender = await arrival.connect();
    await sender.channel.write(stream.upTo("test-guest"));
    await sender.channel.end();
    await expectFailed(arrival, "TRUNCATED", "The stream ended");
    expectNothingLeft();
  });

  test("when the guest is not accepted here", async () => {
    const refused = new MigrationError("STORE_FAILED", "there is no room");
    const arrival = await listening({ drives, accept: () => Promise.reject(refused) });
    await (await arrival.connect()).send(stream.bytes);
    await expectFailed(arrival, "STORE_FAILED", "there is no room");
    expect(drives.calls[0]).toBe("lock");
    expectNothingLeft();
  });

  test("when the source takes its guest back", async () => {
    const accepting = Promise.withResolvers<void>();
    const arrival = await listening({
      drives,
      accept: () => {
        accepting.resolve();
        return new Promise(() => {});
      },
    });
    const sender = await arrival.connect();
    await sender.channel.write(stream.bytes);
    await accepting.promise;
    await sender.channel.end();
    await expectFailed(arrival, "CHANNEL_FAILED", "The source ended the connection before it was told");
    expectNothingLeft();
  });
});

test("a guest whose drives fail when it belongs to this side is paused, and goes on when they are there", async () => {
  image.writable = false;
  const { incoming, guest, connect } = await listening({ drives });
  const sender = await connect();
  await sender.send(stream.bytes);
  expect(await incoming.done).toMatchObject({
    kind: "loaded",
    runState: "paused",
    error: { code: "WRITE_FAILED", message: "The drive 0 cannot be written" },
  });
  expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 0 });
  await expect(guest.run.cont()).rejects.toMatchObject({ code: "WRITE_FAILED" });
  expect([guest.run.state, guest.machine.running, contents()]).toEqual(["paused", false, [1, 1]]);
  image.writable = true;
  await guest.run.cont();
  expect([guest.run.state, contents()]).toEqual(["running", [7, 0]]);
});
