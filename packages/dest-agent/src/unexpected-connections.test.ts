import { connect, formatUri } from "@peregrine/transport";
import type { Address, Channel } from "@peregrine/transport";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { closeAll, listening, TCP } from "../test/arrival.ts";
import { memoryOf, stoppedSource } from "../test/machines.ts";
import type { Guest } from "../test/machines.ts";
import { TestStream } from "../test/stream-maker.ts";

const folder = mkdtempSync(join(tmpdir(), "unexpected-"));
const JUNK = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");

let source: Guest;
let stream: TestStream;
let strangers: Channel[] = [];

beforeAll(async () => {
  source = await stoppedSource();
  stream = await TestStream.of(source.machine);
});

afterEach(async () => {
  for (const stranger of strangers.splice(0)) stranger.destroy();
  await closeAll();
});

afterAll(() => rmSync(folder, { recursive: true }));

async function connectStranger(address: Address, bytes?: Uint8Array): Promise<Channel> {
  const channel = await connect(formatUri(address));
  strangers.push(channel);
  // It may have been closed by then.
  if (bytes !== undefined) await channel.write(bytes).catch(() => {});
  return channel;
}

async function closed(channel: Channel): Promise<void> {
  for await (const _ of channel.read()) expect.fail("it was answered");
}

describe.each([
  ["tcp", TCP],
  ["a unix socket", `unix:${join(folder, "arrival")}`],
  ["a WebSocket", "ws://127.0.0.1:0/"],
])("a guest that arrives over %s", (_, uri) => {
  test("is not disturbed by whoever connects before, meanwhile and behind it", async () => {
    const { guest, incoming, address, connect: connectSource } = await listening({ uri });
    const silent = await connectStranger(address);
    await connectStranger(address, stream.bytes.subarray(0, 3));
    (await connectStranger(address)).destroy();
    await closed(await connectStranger(address, JUNK)).catch(() => {});

    const sender = await connectSource();
    await sender.channel.write(stream.upTo("ram-end"));
    await sender.received(1);
    // The stream is being loaded.
    await closed(await connectStranger(address, stream.bytes)).catch(() => {});
    await closed(await connectStranger(address, JUNK)).catch(() => {});
    for (let more = 0; more < 20; more++) await connectStranger(address);

    await sender.send(stream.bytes.subarray(stream.upTo("ram-end").length));
    const result = await incoming.done;
    expect(result).toMatchObject({ kind: "loaded", runState: "running" });
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 0 });
    expect(memoryOf(guest.machine.guest.ram)).toEqual(memoryOf(source.machine.guest.ram));
    await closed(silent).catch(() => {});
  });
});
