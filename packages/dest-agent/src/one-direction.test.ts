import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NamedDescriptors } from "@peregrine/transport";
import { openSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { closeAll, deferred, expectFailed, listening, refusal } from "../test/arrival.ts";
import { memoryOf, stoppedSource } from "../test/machines.ts";
import type { Guest } from "../test/machines.ts";
import { TestStream } from "../test/stream-maker.ts";

let source: Guest;
let folder: string;
let silent: string;
let asking: string;

beforeAll(async () => {
  source = await stoppedSource();
  folder = await mkdtemp(join(tmpdir(), "dest-agent-"));
  [silent, asking] = [join(folder, "silent"), join(folder, "asking")];
  const stream = await TestStream.of(source.machine);
  await writeFile(asking, stream.bytes);
  await writeFile(silent, stream.without("open-return-path").without("ping-1").without("ping-2").bytes);
});

afterEach(closeAll);

afterAll(() => rm(folder, { recursive: true }));

describe("a guest that comes out of a command", () => {
  test("runs when the command has ended with status 0", async () => {
    const { guest, incoming } = await listening({ uri: `exec:cat ${silent}` });
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
    expect(memoryOf(guest.machine.guest.ram)).toEqual(memoryOf(source.machine.guest.ram));
  });

  test.each([
    ["cat FILE; exit 4", "The command 'cat FILE; exit 4' ended with exit status 4"],
    ["head -c 5000 FILE; exit 4", "ended with exit status 4"],
    ["kill -9 $$", "was ended by SIGKILL"],
  ])("does not run when it fails: '%s'", async (command, message) => {
    const text = (template: string): string => template.replaceAll("FILE", silent);
    const arrival = await listening({ uri: `exec:${text(command)}` });
    await expectFailed(arrival, "CHANNEL_FAILED", text(message));
  });

  test("does not run when its source waits for answers", async () => {
    const arrival = await listening({ uri: `exec:cat ${asking}` });
    await expectFailed(
      arrival,
      "BAD_STREAM_COMMAND",
      `The source wants to be answered, and nothing can go back through 'cat ${asking}': switch its capability return-path off`,
    );
  });
});

describe("a guest that comes over a descriptor", () => {
  test("is taken by name, which is used up", async () => {
    const { guest, incoming } = deferred();
    const descriptors = new NamedDescriptors();
    expect((await refusal(incoming.listen({ uri: "fd:in", descriptors }))).message).toBe(
      "File descriptor named 'in' has not been found",
    );
    descriptors.add("in", openSync(asking, "r"));
    await incoming.listen({ uri: "fd:in", descriptors });
    expect(() => descriptors.remove("in")).toThrow("File descriptor named 'in' not found");
    expect(await incoming.done).toMatchObject({ kind: "loaded" });
    expect(memoryOf(guest.machine.guest.ram)).toEqual(memoryOf(source.machine.guest.ram));
  });

  test("leaves the name where one is awaited already", async () => {
    const { incoming } = deferred();
    const descriptors = new NamedDescriptors();
    await incoming.listen({ uri: "tcp:127.0.0.1:0" });
    descriptors.add("in", openSync(asking, "r"));
    expect((await refusal(incoming.listen({ uri: "fd:in", descriptors }))).code).toBe("IN_PROGRESS");
    descriptors.remove("in");
  });
});
