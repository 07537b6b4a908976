import { MigrationError } from "@peregrine/protocol";
import { openMachineRam } from "@peregrine/shared-state/testing";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { closeAll, deferred, imageListening, listening } from "../test/arrival.ts";
import type { ImageArrival } from "../test/arrival.ts";
import { memoryOf, stoppedSource } from "../test/machines.ts";
import { channelPieces, mainStream } from "../test/multifd-stream.ts";
import type { ChannelItem } from "../test/multifd-stream.ts";
import { CPU, ERA_2_0, pageOf, qemuStream, RTC, TODAY } from "../test/qemu-stream.ts";
import { command, ramPart, TestStream } from "../test/stream-maker.ts";

const folder = mkdtempSync(join(tmpdir(), "dest-agent-"));
const stream = qemuStream();
const oneWay = qemuStream({ ...TODAY, returnPath: false });
const PONG = { kind: "pong", value: 1 };

afterEach(closeAll);

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A caller that decides when it accepts. */
class Decision {
  readonly asked = Promise.withResolvers<boolean>();
  readonly answer = Promise.withResolvers<void>();

  readonly accept = ({ returnPath }: { readonly returnPath: boolean }): Promise<void> => {
    this.asked.resolve(returnPath);
    return this.answer.promise;
  };
}

async function expectFailed({ incoming, run }: ImageArrival, code: string, text: string): Promise<void> {
  const result = await incoming.done;
  if (result.kind !== "failed") expect.fail("it was loaded");
  expect(result.error).toMatchObject({ code, message: expect.stringContaining(text) });
  expect(run.state).toBe("inmigrate");
}

describe("a virtual machine that arrives", () => {
  test("can be sent on from its opening, and is answered when it is accepted", async () => {
    const decision = new Decision();
    const opened: boolean[] = [];
    const arrival = await imageListening({
      accept: decision.accept,
      opened: ({ returnPath }) => {
        opened.push(returnPath);
        expect(arrival.image.memoryBytes).toBe(10 * 4096);
        expect(Atomics.load(new Int32Array(arrival.image.carried.arrived), 0)).toBe(0);
      },
    });
    const { image, incoming, connect } = arrival;
    const sender = await connect();
    const sending = sender.send(stream.bytes);
    expect(await decision.asked.promise).toBe(true);
    expect(opened).toEqual([true]);
    expect(image.carried.closing().late).toEqual([CPU, RTC]);
    // Sent before that, and maybe not read.
    await sender.received(1);
    expect(sender.messages).toEqual([PONG]);
    expect(incoming.query().kind).toBe("active");
    decision.answer.resolve();
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "paused" });
    await sending;
    expect(sender.messages).toEqual([PONG, { kind: "shut", status: 0 }]);
  });

  test("from a source that waits for no answer is accepted however its connection ends", async () => {
    const decision = new Decision();
    const { incoming, connect } = await imageListening({ accept: decision.accept });
    const sender = await connect();
    await sender.channel.write(oneWay.bytes);
    expect(await decision.asked.promise).toBe(false);
    sender.channel.destroy();
    await sender.channel.closed;
    await turn();
    decision.answer.resolve();
    expect(await incoming.done).toMatchObject({ kind: "loaded" });
    expect(sender.messages).toEqual([]);
  });

  test("stays at its source when it is not accepted", async () => {
    const decision = new Decision();
    const arrival = await imageListening({ accept: decision.accept });
    const sender = await arrival.connect();
    const sending = sender.send(stream.bytes);
    await decision.asked.promise;
    decision.answer.reject(new MigrationError("STORE_FAILED", "the disk is full"));
    await expectFailed(arrival, "STORE_FAILED", "the disk is full");
    await sending;
    expect(sender.messages).toEqual([PONG, { kind: "shut", status: 1 }]);
  });

  test("stays at its source when that takes it back before it is accepted", async () => {
    const decision = new Decision();
    const arrival = await imageListening({ accept: decision.accept });
    const sender = await arrival.connect();
    await sender.channel.write(stream.bytes);
    await decision.asked.promise;
    await sender.channel.end();
    await expectFailed(arrival, "CHANNEL_FAILED", "so the guest stays there");
    decision.answer.resolve();
    expect(await sender.ended).toBeUndefined();
    expect(sender.messages).toEqual([PONG, { kind: "shut", status: 1 }]);
  });

  test("stays at its source when it is closed before it is accepted, with the reason given", async () => {
    const decision = new Decision();
    const arrival = await imageListening({ accept: decision.accept });
    const sender = await arrival.connect();
    const sending = sender.send(stream.bytes);
    await decision.asked.promise;
    await arrival.incoming.close(new MigrationError("PEER_REFUSED", "it cannot be sent on"));
    await expectFailed(arrival, "PEER_REFUSED", "it cannot be sent on");
    await sending;
    expect(sender.messages).toEqual([PONG, { kind: "shut", status: 1 }]);
    // Nobody waits for it any more.
    decision.answer.reject(new MigrationError("CANCELLED", "cancelled"));
  });

  test("is refused when it cannot be opened", async () => {
    const arrival = await imageListening({
      opened: () => {
        throw new MigrationError("CONNECT_FAILED", "nobody takes it");
      },
    });
    const sender = await arrival.connect();
    const sending = sender.send(stream.bytes);
    await expectFailed(arrival, "CONNECT_FAILED", "nobody takes it");
    await sending;
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
  });

  test("is refused with SHUT 1 on a stream that cannot be taken in", async () => {
    const postcopy = command({ kind: "postcopy-advise", pageSizes: { summary: 4096, target: 4096 } });
    const arrival = await imageListening();
    const sender = await arrival.connect();
    await sender.send(stream.before("ram-start", postcopy).bytes);
    await expectFailed(arrival, "BAD_STREAM_COMMAND", "switch the capability postcopy-ram off at the source");
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
  });

  test("of the 2.0 era is complete when its source has been quiet for long enough", async () => {
    const { image, incoming, connect } = await imageListening();
    const sender = await connect();
    await sender.send(qemuStream(ERA_2_0).bytes);
    expect(await incoming.done).toMatchObject({ kind: "loaded" });
    expect(image.carried.closing().ending).toEqual({ kind: "undivided" });
    expect(sender.messages).toEqual([PONG, { kind: "shut", status: 0 }]);
  });
});

describe("multifd", () => {
  const main = mainStream(stream, "flush records");

  test("channels may come first, and in pieces", async () => {
    const { image, incoming, connect } = await imageListening({ multifdChannels: 2 });
    const items = [
      ["sync", { page: 1, bytes: pageOf(8) }, "sync", "sync"],
      ["sync", "sync", "sync"],
    ] as const;
    for (const [channel, one] of items.entries()) {
      const bytes = Buffer.concat(await channelPieces(one, { channel }));
      const sender = await connect();
      await sender.channel.write(bytes.subarray(0, 3));
      await sender.channel.write(bytes.subarray(3));
    }
    const sender = await connect();
    await sender.send(main.bytes);
    expect(await incoming.done).toMatchObject({ kind: "loaded" });
    const [ram] = memoryOf(await openMachineRam(image));
    expect(ram!.subarray(4096, 8192)).toEqual(pageOf(8));
  });

  test("of a source is refused where it is off, by the name of the parameter", async () => {
    const arrival = await imageListening();
    const sender = await arrival.connect();
    await sender.channel.write(main.upTo("ram-start"));
    const channel = await arrival.connect();
    await channel.channel.write((await channelPieces([]))[0]!);
    await expectFailed(arrival, "LOAD_FAILED", "which are off here: set multifd-channels as at the source");
    await sender.ended;
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
    await channel.ended;
  });

  test("fails the load when a connection breaks", async () => {
    const arrival = await imageListening({ multifdChannels: 1 });
    const sender = await arrival.connect();
    await sender.channel.write(main.bytes);
    const channel = await arrival.connect();
    await channel.channel.write(Buffer.concat(await channelPieces(["sync"])));
    await sender.received(1);
    channel.channel.destroy();
    await sender.shut();
    await sender.channel.end();
    const result = await arrival.incoming.done;
    expect(result).toMatchObject({
      kind: "failed",
      error: { code: expect.stringMatching(/^(TRUNCATED|CHANNEL_FAILED)$/u) },
    });
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
  });

  test("brings a machine that is known as well", async () => {
    const source = await stoppedSource();
    const known = await TestStream.of(source.machine);
    const { guest, incoming, connect } = await listening({ multifdChannels: 1 });
    const channel = await connect();
    const memory = memoryOf(source.machine.guest.ram);
    const pages = source.machine.guest.ram.blocks.flatMap(({ name }, block) => pagesOf(name, memory[block]!));
    await channel.channel.write(Buffer.concat(await channelPieces(["sync", ...pages, "sync", "sync"])));
    const sender = await connect();
    await sender.send(
      known.with(
        "ram-part",
        ramPart("part", () => {}),
      ).bytes,
    );
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
    expect(memoryOf(guest.machine.guest.ram)).toEqual(memory);
  });

  test.each([-1, 256, 1.5])("has no %s channels", async (multifdChannels) => {
    await expect(imageListening({ multifdChannels })).rejects.toThrow(
      "Parameter 'multifd_channels' expects a value between 1 and 255",
    );
  });
});

describe("a file", () => {
  const write = (name: string, bytes: Uint8Array): string => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  };

  test("brings a machine that is known", async () => {
    const { machine } = await stoppedSource();
    const path = write("known", (await TestStream.of(machine)).bytes);
    const { guest, incoming } = await listening({ uri: `file:${path}` });
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
    expect(memoryOf(guest.machine.guest.ram)).toEqual(memoryOf(machine.guest.ram));
  });

  test("may have something else in front", async () => {
    const path = write("behind", Buffer.concat([new Uint8Array(100), oneWay.bytes]));
    const decision = new Decision();
    const { incoming } = await imageListening({ uri: `file:${path},offset=100`, accept: decision.accept });
    expect(await decision.asked.promise).toBe(false);
    decision.answer.resolve();
    expect(await incoming.done).toMatchObject({ kind: "loaded" });
  });

  test("is refused for what is wrong in it", async () => {
    const path = write("cut", stream.upTo("end-mark"));
    const arrival = await imageListening({ uri: `file:${path}` });
    await expectFailed(arrival, "TRUNCATED", "The stream ended where a section type was expected");
  });

  test("that is not there can be followed by another one", async () => {
    const { machine } = await stoppedSource();
    const { incoming } = deferred();
    const missing = incoming.listen({ uri: `file:${folder}/none` });
    await expect(missing).rejects.toMatchObject({ code: "LISTEN_FAILED" });
    await incoming.listen({ uri: `file:${write("there", (await TestStream.of(machine)).bytes)}` });
    expect(await incoming.done).toMatchObject({ kind: "loaded" });
  });
});

function pagesOf(block: string, bytes: Uint8Array): ChannelItem[] {
  return Array.from({ length: bytes.length / 4096 }, (_, page) => ({
    block,
    page,
    bytes: bytes.subarray(page * 4096, (page + 1) * 4096),
  }));
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
