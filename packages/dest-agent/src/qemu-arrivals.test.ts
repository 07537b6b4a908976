import type { ImageMachine } from "@peregrine/machine-image";
import { ReturnPathDecoder, DEFAULT_LIMITS } from "@peregrine/protocol";
import type { ReturnMessage } from "@peregrine/protocol";
import { openMachineRam } from "@peregrine/shared-state/testing";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { randomSizes } from "../../protocol/test/chunks.ts";
import { fixture, fixtureFile, mainStream, noRecordings, sha256 } from "../../protocol/test/fixtures.ts";
import { decodeRecording, multifdStreams } from "../../protocol/test/recordings.ts";
import { closeAll, imageListening } from "../test/arrival.ts";
import type { ImageArrival } from "../test/arrival.ts";
import { memoryOf } from "../test/machines.ts";

const folder = mkdtempSync(join(tmpdir(), "dest-agent-"));
const UNIX = `unix:${join(folder, "arrival")}`;

afterEach(closeAll);

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** The image holds what the recording has: memory, devices, and how the stream is framed. */
async function expectImage(image: ImageMachine, name: string): Promise<void> {
  const of = fixture(name);
  const ram = await openMachineRam(image);
  const memory = memoryOf(ram);
  expect(sha256(memory[ram.blocks.findIndex((block) => block.name === of.ramBlock)]!)).toBe(of.ramSha256);
  const { echo } = await decodeRecording(name, () => 65_536);
  expect(ram.blocks).toEqual(echo.blocks.map(({ name: block, length }) => ({ name: block, length })));
  expect(memory.map(sha256)).toEqual(echo.memory.map(sha256));
  const { configuration, footers, early } = image.carried.opening();
  const { late, ending } = image.carried.closing();
  const { capabilities: _, ...configured } = echo.configured ?? {};
  expect(configuration).toEqual(echo.configured && configured);
  expect(footers).toBe(!name.startsWith("pc2"));
  expect(early).toEqual([]);
  if (echo.undivided === undefined) {
    expect(late).toEqual(
      echo.devices.map(({ header, payload }) => ({
        name: header.name,
        instance: header.instance,
        version: header.version,
        payload,
      })),
    );
    expect(ending).toEqual({ kind: "described", text: echo.description });
  } else {
    expect(late.map(({ payload }) => payload)).toEqual([echo.undivided]);
    expect(ending).toEqual({ kind: "undivided" });
  }
}

async function expectHeld({ image, incoming, run }: ImageArrival, name: string): Promise<void> {
  const result = await incoming.done;
  if (result.kind === "failed") throw result.error;
  expect(result.runState).toBe("paused");
  expect(run.state).toBe("paused");
  await expectImage(image, name);
}

describe.skipIf(noRecordings)("a virtual machine of a real QEMU arrives", () => {
  test.each([
    "pc-72",
    "pc-72-dirty",
    "pc-72-xbzrle",
    "pc-100",
    "pc-100-dirty",
    "pc-100-xbzrle",
    "pc20-72",
    "pc23-72-dirty",
  ])("as in %s, from a source that waits for no answer", async (name) => {
    const arrival = await imageListening({ uri: UNIX });
    const sender = await arrival.connect();
    await sender.write(mainStream(name), randomSizes(name.length, 400_000));
    await sender.channel.end();
    await expectHeld(arrival, name);
    expect(arrival.image.carried.opening().uuid).toBeUndefined();
    expect(sender.messages).toEqual([]);
  });

  test.each(["pc-72-retpath", "pc-100-retpath"])("as in %s, and is answered as by QEMU", async (name) => {
    const arrival = await imageListening({ uri: UNIX });
    const sender = await arrival.connect();
    await sender.send(mainStream(name));
    await expectHeld(arrival, name);
    expect(sender.messages).toEqual(returnMessages(fixtureFile(fixture(name), `${name}.c0.back`)));
    expect(await sender.ended).toBeUndefined();
  });

  test.each(["pc-72-multifd", "pc-72-multifd-zstd", "pc-100-multifd", "pc-100-multifd-zstd"])(
    "as in %s, over three connections",
    async (name) => {
      const arrival = await imageListening({ uri: UNIX, multifdChannels: 2 });
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
    },
  );

  test.each(["pc-100-mapped", "pc-100", "pc-72-retpath"])("as in %s, from a file", async (name) => {
    const path = join(folder, name);
    writeFileSync(path, mainStream(name));
    const arrival = await imageListening({ uri: `file:${path}` });
    expect(arrival.address).toEqual({ kind: "file", path, offset: 0 });
    await expectHeld(arrival, name);
  });
});

function returnMessages(bytes: Uint8Array): readonly ReturnMessage[] {
  const messages: ReturnMessage[] = [];
  const decoder = new ReturnPathDecoder({
    limits: DEFAULT_LIMITS,
    message: (message) => messages.push(message),
  });
  decoder.push(bytes);
  decoder.end();
  return messages;
}
