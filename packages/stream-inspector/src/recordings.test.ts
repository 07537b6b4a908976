import { DEFAULT_LIMITS } from "@peregrine/protocol";
import { createHash } from "node:crypto";
import { createReadStream, readdirSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { fixture, noRecordings } from "../../protocol/test/fixtures.ts";
import { useDirectory } from "../test/directory.ts";
import { CODECS } from "../test/inspected.ts";
import { inspectStream, openStreamFiles, RamFile, StrictCheck } from "./index.ts";
import type { Inspection, InspectOptions } from "./index.ts";

const FOLDER = fileURLToPath(new URL("../../../../shared/fixtures/qemu/", import.meta.url));

const inDirectory = useDirectory();

/** The files of a recording; of several channels the main one is not the first. */
function pathsOf(name: string): string[] {
  return Object.keys(fixture(name).files)
    .filter((file) => /\.(?:stream|mapped)\.zst$/u.test(file))
    .toReversed()
    .map((file) => FOLDER + file);
}

async function inspectRecording(
  name: string,
  options: Pick<InspectOptions, "listener" | "memory">,
): Promise<Inspection> {
  const files = await openStreamFiles(pathsOf(name));
  const { main, channels } = files;
  try {
    return await inspectStream(
      { main: main.chunks, channels: channels.map(({ chunks }) => chunks), fileOffset: main.fileOffset },
      { limits: DEFAULT_LIMITS, codecs: CODECS, ...options },
    );
  } finally {
    await files.close();
  }
}

async function sumOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Passes in which pages came. The manifest tells how often the source looked for dirty pages, at times without finding any. */
const RECORDINGS: readonly (readonly [name: string, devices: number, passes: number])[] = [
  ["pc-72", 31, 1],
  ["pc-72-dirty", 31, 6],
  ["pc-72-xbzrle", 31, 9],
  ["pc-72-retpath", 31, 1],
  ["pc-72-postcopy", 31, 2],
  ["pc-72-multifd", 31, 5],
  ["pc-72-multifd-zstd", 31, 5],
  ["pc-72-block", 31, 1],
  ["pc20-72", 0, 1],
  ["pc23-72-dirty", 28, 6],
  ["pc-100", 31, 1],
  ["pc-100-dirty", 31, 13],
  ["pc-100-xbzrle", 31, 3],
  ["pc-100-retpath", 31, 1],
  ["pc-100-postcopy", 31, 2],
  ["pc-100-multifd", 31, 3],
  ["pc-100-multifd-zstd", 31, 2],
  ["pc-100-mapped", 31, 1],
];

describe.skipIf(noRecordings)("recordings of real QEMU", () => {
  test.each(RECORDINGS)(
    "%s is valid, has %i devices and %i passes, and gives its RAM",
    async (name, devices, passes) => {
      const of = fixture(name);
      const listener = new StrictCheck(DEFAULT_LIMITS);
      const path = inDirectory("ram");
      const memory = new RamFile({ block: of.ramBlock, path, force: false });
      const { summary, fault } = await inspectRecording(name, { listener, memory });
      expect(fault).toBeUndefined();
      listener.requireComplete(summary);
      expect(memory.keep()).toBe(true);
      expect(await sumOf(path)).toBe(of.ramSha256);
      expect(readdirSync(inDirectory("."))).toEqual(["ram"]);
      expect(summary).toMatchObject({ devices, runState: devices === 31 ? "running" : undefined });
      expect(summary.passes).toHaveLength(passes);
    },
  );

  test("what a source counted is what is counted here", async () => {
    const { summary } = await inspectRecording("pc-100", {});
    const counts = summary.passes[0]!.counts;
    expect([counts.pages, counts.zeroPages]).toEqual([2931, 1295]);
  });

  test("disks are counted", async () => {
    const { summary } = await inspectRecording("pc-72-block", {});
    expect(summary.disks).toEqual([{ name: "d0", chunks: 3, zeroChunks: 1 }]);
  });
});
