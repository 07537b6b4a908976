import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { closeAll, deferred, expectFailed, listening, refusal, TCP } from "../test/arrival.ts";
import { destination, memoryOf, stoppedSource } from "../test/machines.ts";
import type { Guest } from "../test/machines.ts";
import { Sender } from "../test/sender.ts";
import { TestStream } from "../test/stream-maker.ts";
import { IncomingMigration } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "dest-agent-"));

let source: Guest;
let stream: TestStream;

beforeAll(async () => {
  source = await stoppedSource();
  stream = await TestStream.of(source.machine);
});

afterEach(closeAll);

afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe("a guest that arrives", () => {
  test.each([
    ["tcp", TCP],
    ["a unix socket", `unix:${join(folder, "arrival")}`],
  ])("over %s has the memory and the devices of the source, and runs", async (_, uri) => {
    const { guest, incoming, connect } = await listening({ uri });
    const sender = await connect();
    await sender.send(stream.bytes);
    const result = await incoming.done;
    expect(result).toMatchObject({ kind: "loaded", runState: "running" });
    expect(sender.messages).toEqual([
      { kind: "pong", value: 1 },
      { kind: "pong", value: 2 },
      { kind: "shut", status: 0 },
    ]);
    expect(guest.machine.running).toBe(true);
    expect(memoryOf(guest.machine.guest.ram)).toEqual(memoryOf(source.machine.guest.ram));
    expect(guest.machine.guest.sweeps).toBe(source.machine.guest.sweeps);
    expect(guest.machine.guest.position).toBe(source.machine.guest.position);
    guest.machine.tick(1000);
    guest.machine.verify();
    expect(await sender.ended).toBeUndefined();
    expect(sender.messages).toHaveLength(3);
  });

  test("tells each new status once", async () => {
    const { incoming } = deferred();
    const statuses: string[] = [];
    incoming.subscribe((status) => statuses.push(status));
    const address = await incoming.listen({ uri: TCP });
    const sender = await Sender.connect(address);
    await sender.send(stream.bytes);
    await incoming.done;
    sender.channel.destroy();
    expect(statuses).toEqual(["setup", "active", "completed"]);
  });

  test("is counted", async () => {
    const { incoming, connect } = await listening();
    await (await connect()).send(stream.bytes);
    const result = await incoming.done;
    const pages = 256 + 16;
    expect(result.progress).toMatchObject({
      bytes: stream.bytes.length,
      pages: expect.any(Number),
      zeroPages: expect.any(Number),
    });
    expect(result.progress.pages + result.progress.zeroPages).toBe(pages);
    expect(result.progress.zeroPages).toBeGreaterThan(0);
    expect(result.progress.totalTime).toBeGreaterThan(result.progress.lateDevicesTime);
    expect(result.progress.lateDevicesTime).toBeGreaterThan(0);
    expect(result.progress.startTime).toBeGreaterThan(result.progress.afterAnswerTime);
    expect(result.progress.afterAnswerTime).toBeGreaterThan(0);
    expect(incoming.query()).toBe(result);
  });

  test("arrives in prelaunch when it was never started", async () => {
    const fresh = await stoppedSource();
    await fresh.run.restore();
    const state = fresh.machine.devices.find("globalstate", 0)!;
    state.save = () => ({ size: 10, runstate: Buffer.from("prelaunch".padEnd(100, "\0")) });
    const { guest, incoming, connect } = await listening();
    await (await connect()).send((await TestStream.of(fresh.machine)).bytes);
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "prelaunch" });
    expect(guest.machine.running).toBe(false);
  });

  test("is started by a source that sends no run state", async () => {
    const { incoming, connect } = await listening();
    await (await connect()).send(stream.without("globalstate").bytes);
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
  });

  test("is not started before the machine is prepared, though its pages are loaded", async () => {
    const prepared = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const { guest, incoming, connect } = await listening({
      prepare: ({ machine }) => {
        machine.prepared = () => {
          asked.resolve();
          return prepared.promise;
        };
      },
    });
    const sender = await connect();
    const sending = sender.send(stream.bytes);
    await asked.promise;
    // Bytes are counted before the pages in them are there, and the thread may stand still in between.
    while (incoming.query().kind === "active" && loadedPages(incoming) < 256 + 16) await turn();
    // Sent before that, and maybe not read.
    await sender.received(1);
    expect(sender.messages).toEqual([{ kind: "pong", value: 1 }]);
    expect(guest.machine.running).toBe(false);
    prepared.resolve();
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
    await sending;
    expect(sender.messages.map((message) => message.kind)).toEqual(["pong", "pong", "shut"]);
  });
});

function loadedPages(incoming: IncomingMigration): number {
  const status = incoming.query();
  if (status.kind === "setup" || status.kind === "listening") return 0;
  return status.progress.pages + status.progress.zeroPages;
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe("listening", () => {
  test("resolves with the real address, which is free when the guest has arrived", async () => {
    const { incoming, address, connect } = await listening();
    expect(address).toMatchObject({ kind: "tcp", host: "127.0.0.1" });
    expect(incoming.query()).toMatchObject({ kind: "listening", address });
    const sender = await connect();
    await sender.channel.write(stream.upTo("ram-start"));
    await sender.received(2);
    expect(incoming.query()).toMatchObject({ kind: "active", progress: { pages: 0 } });
    await sender.send(stream.bytes.subarray(stream.offsetOf("ram-start")));
    await incoming.done;
    expect((await refusal(connect())).code).toBe("CONNECT_FAILED");
  });

  test("closes a second connection without disturbing the first", async () => {
    const { incoming, connect } = await listening();
    const sender = await connect();
    const half = stream.offsetOf("ram-end");
    await sender.channel.write(stream.bytes.subarray(0, half));
    await sender.received(2);
    const stranger = await connect();
    // It may be closed before the kernel has taken all of that.
    await stranger.channel.write(stream.bytes.subarray(0, half)).catch(() => {});
    await stranger.ended;
    expect(stranger.messages).toEqual([]);
    const silent = await connect();
    await sender.send(stream.bytes.subarray(half));
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
    await silent.ended;
  });

  test("is refused a second time", async () => {
    const { incoming } = await listening();
    expect(await refusal(incoming.listen({ uri: TCP }))).toMatchObject({
      code: "IN_PROGRESS",
      message: "The incoming migration has already been started",
    });
    expect(incoming.query().kind).toBe("listening");
  });

  test.each([
    ["fax:1", "UNKNOWN_SCHEME", "unknown migration protocol: fax:1"],
    ["tcp:nowhere", "BAD_ADDRESS", "error parsing address 'nowhere'"],
    [`unix:${join(folder, "no", "folder")}`, "LISTEN_FAILED", "Failed to listen on"],
  ])("on %s is refused, and can be tried on another address", async (uri, code, text) => {
    const { guest, incoming } = deferred();
    const error = await refusal(incoming.listen({ uri }));
    expect(error).toMatchObject({ code, message: expect.stringContaining(text) });
    expect(incoming.query()).toEqual({ kind: "setup" });
    expect(guest.run.state).toBe("inmigrate");
    const sender = await Sender.connect(await incoming.listen({ uri: TCP }));
    await sender.send(stream.bytes);
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
  });

  test("is not tried again when a load has failed", async () => {
    const { incoming, connect } = await listening();
    const { channel } = await connect();
    await channel.write(stream.bytes.subarray(0, 4));
    await channel.end();
    expect(await incoming.done).toMatchObject({ kind: "failed" });
    expect((await refusal(incoming.listen({ uri: TCP }))).code).toBe("IN_PROGRESS");
  });

  test("is only done for a run state in which a guest can arrive", () => {
    const { machine, run } = destination();
    run.set("paused");
    expect(() => new IncomingMigration({ machine, runControl: run })).toThrow(
      "No guest can arrive in run state 'paused'",
    );
  });
});

describe("close", () => {
  test("before a connection frees the address", async () => {
    const path = join(folder, "closed");
    const arrival = await listening({ uri: `unix:${path}` });
    expect(existsSync(path)).toBe(true);
    await arrival.incoming.close();
    await expectFailed(arrival, "CANCELLED", "The incoming migration was closed");
    expect(existsSync(path)).toBe(false);
    await arrival.incoming.close();
  });

  test("before listen ends it too", async () => {
    const { incoming } = deferred();
    expect(incoming.query()).toEqual({ kind: "setup" });
    await incoming.close();
    expect(await incoming.done).toMatchObject({ kind: "failed", error: { code: "CANCELLED" } });
    expect((await refusal(incoming.listen({ uri: TCP }))).code).toBe("IN_PROGRESS");
  });

  test("while it begins to listen ends both", async () => {
    const { incoming } = deferred();
    const [refused] = await Promise.all([refusal(incoming.listen({ uri: TCP })), incoming.close()]);
    expect(refused.code).toBe("CANCELLED");
    expect(await incoming.done).toMatchObject({ kind: "failed", error: { code: "CANCELLED" } });
  });

  test("in the middle of a load tells the source", async () => {
    const arrival = await listening();
    const sender = await arrival.connect();
    await sender.channel.write(stream.upTo("ram-end"));
    await sender.received(2);
    const closing = arrival.incoming.close();
    expect(arrival.incoming.query().kind).toBe("failed");
    await sender.received(3);
    await sender.channel.end();
    await closing;
    await expectFailed(arrival, "CANCELLED", "The incoming migration was closed");
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
  });

  test("tells that the load has failed", async () => {
    const { incoming } = deferred();
    const statuses: string[] = [];
    incoming.subscribe((status) => statuses.push(status));
    await incoming.listen({ uri: TCP });
    await incoming.close();
    expect(statuses).toEqual(["setup", "failed"]);
  });

  test("in the middle of loading a device does not wait for it", async () => {
    const asked = Promise.withResolvers<void>();
    const arrival = await listening({
      prepare: ({ machine }) => {
        machine.devices.find("test-guest", 0)!.load = () => {
          asked.resolve();
          return new Promise(() => {});
        };
      },
    });
    const sender = await arrival.connect();
    const sending = sender.send(stream.bytes);
    await asked.promise;
    await arrival.incoming.close();
    await expectFailed(arrival, "CANCELLED", "The incoming migration was closed");
    await sending;
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
  });

  test("is too late when the source has been told", async () => {
    const asked = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const { guest, incoming, connect } = await listening({
      prepare: ({ machine }) => {
        const start = machine.start.bind(machine);
        machine.start = async () => {
          asked.resolve();
          await go.promise;
          await start();
        };
      },
    });
    const sender = await connect();
    await sender.send(stream.bytes);
    await asked.promise;
    // The channel is gone, and the thread with it, before the guest runs.
    await sender.ended;
    const closing = incoming.close();
    expect(incoming.query().kind).toBe("active");
    go.resolve();
    await closing;
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
    expect(guest.machine.running).toBe(true);
  });

  test("does nothing to a guest that has arrived", async () => {
    const { guest, incoming, connect } = await listening();
    await (await connect()).send(stream.bytes);
    const result = await incoming.done;
    await incoming.close();
    expect(incoming.query()).toBe(result);
    expect(guest.machine.running).toBe(true);
  });
});
