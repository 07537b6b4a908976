import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { randomSizes } from "../../protocol/test/chunks.ts";
import { mainStream, noRecordings } from "../../protocol/test/fixtures.ts";
import { multifdStreams } from "../../protocol/test/recordings.ts";
import { closeAll, imageListening } from "../test/arrival.ts";
import { expectHeld } from "../test/expect-held.ts";

const folder = mkdtempSync(join(tmpdir(), "dest-agent-"));
const UNIX = `unix:${join(folder, "arrival")}`;

afterEach(closeAll);

afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe.skipIf(noRecordings)("a virtual machine of a real QEMU arrives", () => {
  test.each([
    ["pc-72-multifd", UNIX],
    ["pc-72-multifd-zstd", "tcp:127.0.0.1:0"],
    ["pc-100-multifd", UNIX],
    ["pc-100-multifd-zstd", UNIX],
    // A WebSocket stays where it was accepted, and its bytes are passed on.
    ["pc-100-multifd-zstd", "ws://127.0.0.1:0/"],
  ])("as in %s, over three connections of %s", async (name, uri) => {
    const arrival = await imageListening({ uri, multifdChannels: 2 });
    const { main, channels } = multifdStreams(name);
    // The last channel is the first to connect: nothing says in which order they come.
    const streams = [main, ...channels].toReversed();
    const senders = [];
    for (const stream of streams) senders.push({ stream, sender: await arrival.connect() });
    await Promise.all(
      senders.map(async ({ stream, sender }, seed) => {
        await sender.write(stream, randomSizes(seed, 200_000));
        await sender.channel.end();
      }),
    );
    await expectHeld(arrival, name);
    expect(arrival.image.carried.opening().uuid).toEqual(new Uint8Array(16));
    const bytes = streams.reduce((sum, stream) => sum + stream.length, 0);
    expect(arrival.incoming.query()).toMatchObject({ progress: { bytes } });
  });

  test.each(["pc-100-mapped", "pc-100", "pc-72-retpath"])("as in %s, from a file", async (name) => {
    const path = join(folder, name);
    writeFileSync(path, mainStream(name));
    const arrival = await imageListening({ uri: `file:${path}` });
    expect(arrival.address).toEqual({ kind: "file", path, offset: 0 });
    await expectHeld(arrival, name);
  });
});
