import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mainStream, noRecordings } from "../../protocol/test/fixtures.ts";
import { CarriedReader } from "./testing/carried-reader.ts";
import { CarriedSource } from "./testing/carried-source.ts";
import type { CarriedParts } from "./testing/carried-machine.ts";
import { readMappedFile } from "./testing/mapped-file.ts";
import { Source } from "./testing/source.ts";

const MiB = 1 << 20;
const MAPPED = { "mapped-ram": true };

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-"));
  path = join(folder, "vm");
});

afterEach(() => rm(folder, { recursive: true }));

describe.skipIf(noRecordings)("a file that real QEMU wrote", () => {
  /** What a machine carries that came in the file. */
  function partsOf(bytes: Uint8Array): CarriedParts {
    const { configuration, blocks, memory } = readMappedFile(bytes);
    return {
      opening: { configuration, footers: true, early: [], uuid: undefined },
      closing: { late: [], ending: { kind: "end-mark" } },
      blocks: blocks.map(({ name, length }) => ({ name, length })),
      memory,
    };
  }

  test("becomes the same again, up to the end of the memory in it", async () => {
    const recorded = mainStream("pc-100-mapped");
    await using source = new CarriedSource(partsOf(recorded));
    source.machine.arrive();
    source.migration.setCapabilities(MAPPED);
    source.migration.migrate(`file:${path}`);
    expect([await source.ended(), source.migration.error?.message]).toEqual(["completed", undefined]);
    const { memoryEnd } = readMappedFile(recorded);
    expect(memoryEnd).toBeGreaterThan(16 * MiB);
    const written = await readFile(path);
    expect(Buffer.compare(written.subarray(0, memoryEnd), recorded.subarray(0, memoryEnd))).toBe(0);
  });
});

describe("a migration into a file", () => {
  test("keeps a guest that writes all the time", async () => {
    await using source = await Source.make({ dirtyRate: 20 * MiB });
    source.migration.setCapabilities(MAPPED);
    source.migration.migrate(`file:${path}`);
    expect([await source.ended(), source.migration.error?.message]).toEqual(["completed", undefined]);
    expect(source.run.state).toBe("postmigrate");
    const kept = readMappedFile(await readFile(path));
    for (const [block, bytes] of source.memory().entries()) {
      expect(Buffer.compare(bytes, kept.memory[block]!.subarray(0, bytes.length)), `block ${block}`).toBe(0);
    }
    expect(kept.devices).toEqual(["test-layout", "test-guest", "globalstate"]);
  });

  test("without mapped-ram is the stream as it would go over a connection, and asks for no answer", async () => {
    const memory = Buffer.alloc(40 * 4096, "guest");
    const parts: CarriedParts = {
      opening: {
        // It came out of a file that had its pages in places.
        configuration: { machineType: "pc-q35-9.1", capabilities: ["mapped-ram"] },
        footers: true,
        early: [],
        uuid: undefined,
      },
      closing: {
        late: [{ name: "timer", instance: 0, version: 2, payload: Uint8Array.of(1, 2, 3) }],
        ending: { kind: "end-mark" },
      },
      blocks: [{ name: "pc.ram", length: memory.length }],
      memory: [memory],
    };
    await using source = new CarriedSource(parts);
    source.machine.arrive();
    source.migration.migrate(`file:${path}`);
    expect([await source.ended(), source.migration.error?.message]).toEqual(["completed", undefined]);
    const reader = new CarriedReader(true);
    reader.push(await readFile(path));
    const kept = reader.end();
    expect(kept.opening.configuration).toEqual({ machineType: "pc-q35-9.1" });
    expect(Buffer.compare(kept.memory[0]!, memory)).toBe(0);
    expect(kept.closing.late).toEqual(parts.closing.late);
    expect(reader.commands).toEqual([]);
  });

  test("that is cancelled leaves no file, and the guest runs on", async () => {
    await using source = await Source.make({ dirtyRate: 20 * MiB });
    source.migration.setCapabilities(MAPPED);
    // So slow that it cannot be over.
    source.migration.setSpeed(20_000);
    source.migration.migrate(`file:${path}`);
    await source.reaches("active");
    source.migration.cancel();
    expect(await source.ended()).toBe("cancelled");
    expect(await readdir(folder)).toEqual([]);
    await source.expectUntouched();
  });

  test("never goes over what is there", async () => {
    await writeFile(path, "the only copy");
    await using source = await Source.make();
    source.migration.setCapabilities(MAPPED);
    source.migration.migrate(`file:${path}`);
    expect(await source.ended()).toBe("failed");
    expect(source.migration.error).toMatchObject({
      code: "CONNECT_FAILED",
      message: `The file '${path}' has contents already and is not overwritten: remove it, or name another one`,
    });
    expect(await readFile(path, "utf8")).toBe("the only copy");
    await source.expectUntouched();
  });
});

describe("a capability that does not go with where the guest is to go", () => {
  test.each([
    [
      "mapped-ram",
      () => "tcp:127.0.0.1:1",
      "Migration requires seekable transport (e.g. file): name a file, or switch the capability mapped-ram off",
    ],
    [
      "multifd",
      () => `file:${path}`,
      "Migration requires multi-channel URIs (e.g. tcp): name one, or switch the capability multifd off",
    ],
  ])("%s is refused before anything is done", async (capability, uri, message) => {
    await using source = await Source.make();
    source.migration.setCapabilities({ [capability]: true });
    expect(() => source.migration.migrate(uri())).toThrow(
      expect.objectContaining({ code: "BAD_PARAMETER", message }),
    );
    expect(source.migration.query()).toEqual({ status: "failed", "error-desc": message });
    expect(await readdir(folder)).toEqual([]);
    await source.expectUntouched();
  });
});
