import { ReturnPathDecoder, DEFAULT_LIMITS } from "@peregrine/protocol";
import type { ReturnMessage } from "@peregrine/protocol";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { randomSizes } from "../../protocol/test/chunks.ts";
import { fixture, fixtureFile, mainStream, noRecordings } from "../../protocol/test/fixtures.ts";
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
