import { MigrationError } from "@peregrine/protocol";
import { TestDrives, TestImage } from "@peregrine/shared-state/testing";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { closeAll, deferred, listening, refusal } from "../test/arrival.ts";
import type { Arrival, Preparation } from "../test/arrival.ts";
import { SMALL, stoppedSource } from "../test/machines.ts";
import { TestStream } from "../test/stream-maker.ts";

/** The sentences about the incoming migration, in their order; what is sent when it is announced is in `network`. */

const MiB = 1 << 20;

let streams: { readonly running: TestStream; readonly paused: TestStream };

beforeAll(async () => {
  const [running, paused] = await Promise.all([stoppedSource(SMALL), stoppedSource(SMALL, true)]);
  streams = {
    running: await TestStream.of(running.machine),
    paused: await TestStream.of(paused.machine),
  };
});

afterEach(closeAll);

/** A destination with a drive, and everything that can be seen of it from outside, in its order. */
async function observed(options: Preparation = {}): Promise<Arrival & { readonly seen: string[] }> {
  const seen: string[] = [];
  const drives = TestDrives.awaited({ db: new TestImage(MiB) });
  const takeOver = drives.takeOver.bind(drives);
  drives.takeOver = async () => {
    seen.push("disks");
    await takeOver();
  };
  const arrival = await listening({
    drives,
    accept: async () => void seen.push("loaded"),
    announce: () => seen.push("announced"),
    ...options,
    prepare: (guest) => {
      const start = guest.machine.start.bind(guest.machine);
      guest.machine.start = async () => {
        seen.push("started");
        await start();
      };
      options.prepare?.(guest);
    },
  });
  return { ...arrival, seen };
}

describe("the incoming migration", () => {
  test("begins at start, or later", async () => {
    const { incoming, guest } = deferred();
    expect([incoming.query().kind, guest.run.state]).toEqual(["setup", "inmigrate"]);
    await incoming.listen({ uri: "tcp:127.0.0.1:0" });
    expect([incoming.query().kind, guest.run.state]).toEqual(["listening", "inmigrate"]);
  });

  test("refuses a scheme that is not known", async () => {
    const { incoming } = deferred();
    const error = await refusal(incoming.listen({ uri: "rdma:h:1" }));
    expect(error.message).toBe("unknown migration protocol: rdma:h:1");
  });

  test("has the run state inmigrate until it ends", async () => {
    const states: string[] = [];
    const arrival = await observed({
      accept: async () => void states.push(arrival.guest.run.state),
      announce: () => states.push(arrival.guest.run.state),
    });
    const sender = await arrival.connect();
    states.push(arrival.guest.run.state);
    await sender.send(streams.running.bytes);
    await arrival.incoming.done;
    states.push(arrival.guest.run.state);
    expect(states).toEqual(["inmigrate", "inmigrate", "inmigrate", "running"]);
  });

  test.each(["ram-start", "ram-end", "end-mark"] as const)(
    "suspends where bytes are missing, before %s, and never blocks the main thread",
    async (place) => {
      const { incoming, connect, seen } = await observed();
      const sender = await connect();
      await sender.channel.write(streams.running.upTo(place));
      await sender.received(2);
      // This thread is the main thread, and it came here.
      expect(incoming.query().kind).toBe("active");
      expect(seen).toEqual([]);
      await sender.send(streams.running.bytes.subarray(streams.running.offsetOf(place)));
      expect(await incoming.done).toMatchObject({ kind: "loaded" });
    },
  );

  test("loads, announces, takes the disks and starts the guest, in this order", async () => {
    const { incoming, connect, seen } = await observed();
    await (await connect()).send(streams.running.bytes);
    await incoming.done;
    expect(seen).toEqual(["loaded", "announced", "disks", "started"]);
  });

  test("closes the channel before the guest is started", async () => {
    const ended = Promise.withResolvers<void>();
    const arrival = await observed({
      prepare: ({ machine }) => {
        const start = machine.start.bind(machine);
        machine.start = async () => {
          await ended.promise;
          await start();
        };
      },
    });
    const sender = await arrival.connect();
    await sender.send(streams.running.bytes);
    expect(await sender.ended).toBeUndefined();
    expect(arrival.guest.machine.running).toBe(false);
    ended.resolve();
    expect(await arrival.incoming.done).toMatchObject({ runState: "running" });
  });

  test.each([
    { source: "running", autostart: true, arrives: "running" },
    { source: "running", autostart: undefined, arrives: "running" },
    { source: "running", autostart: false, arrives: "paused" },
    { source: "paused", autostart: true, arrives: "paused" },
    { source: "paused", autostart: false, arrives: "paused" },
  ] as const)("of a guest that was $source, with autostart $autostart, leaves it $arrives", async (given) => {
    const { guest, incoming, connect, seen } = await observed(
      given.autostart === undefined ? {} : { autostart: given.autostart },
    );
    await (await connect()).send(streams[given.source].bytes);
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: given.arrives });
    expect(guest.run.state).toBe(given.arrives);
    expect(seen.slice(0, 3)).toEqual(["loaded", "announced", "disks"]);
    expect(seen.includes("started")).toBe(given.arrives === "running");
    await guest.run.cont();
    expect(guest.machine.running).toBe(true);
  });
});

describe("of a failed load nothing is visible:", () => {
  const refused = async (): Promise<void> => {
    throw new MigrationError("LOAD_FAILED", "not here");
  };
  test.each([
    ["a stream that ends early", {}, () => streams.running.upTo("end-mark")],
    ["a stream that is wrong", {}, () => streams.running.without("test-guest").bytes],
    ["a guest that is not accepted", { accept: refused }, () => streams.running.bytes],
  ] as const)("%s", async (_, options, bytes) => {
    const image = new TestImage(MiB);
    const before = new Uint8Array(image.bytes).slice();
    const { guest, incoming, connect, seen } = await observed({
      ...options,
      drives: TestDrives.awaited({ db: image }),
    });
    const sender = await connect();
    await sender.channel.write(bytes());
    await sender.channel.end();
    expect(await incoming.done).toMatchObject({ kind: "failed" });
    expect(seen).toEqual([]);
    expect(guest.machine.running).toBe(false);
    expect(guest.run.state).toBe("inmigrate");
    expect(new Uint8Array(image.bytes)).toEqual(before);
    expect(image.holder).toBeUndefined();
  });
});
