import fs, { readFileSync, statSync } from "node:fs";
import { CHUNK_SIZE, DirtyBitmap } from "@peregrine/shared-state";
import * as fc from "fast-check";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { bytesOf, contentsOf, drive, held, ImageDirectory } from "../../test/drives.ts";
import { pattern } from "../../test/pattern.ts";
import { CLUSTER_BYTES } from "./cluster-map.ts";
import { NodeDrives } from "./node-drives.ts";

/** Not a whole number of clusters. */
const LENGTH = 5 * CLUSTER_BYTES + 1234;

const range = fc
  .tuple(fc.nat(LENGTH - 1), fc.oneof(fc.nat(300), fc.nat(3 * CLUSTER_BYTES)))
  .map(([position, length]) => ({ position, length: Math.min(length + 1, LENGTH - position) }));

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("write" as const), range, seed: fc.nat(1000) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("read" as const), range }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("sync" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const) }) },
);

describe.each(["an image", "an overlay"])("the contents of %s", (kind) => {
  it("are those of a plain buffer, whatever is written, read, synced and opened again", async () => {
    const directory = new ImageDirectory();
    const original = pattern(LENGTH, 7);
    const base = directory.make("base", original);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const file = directory.file(`run-${run++}`);
        const isOverlay = kind === "an overlay";
        if (!isOverlay) directory.make(`run-${run - 1}`, original);
        const options = drive(file, isOverlay ? { backing: base } : {});
        const model = Uint8Array.from(original);
        let drives = await NodeDrives.open([options]);
        try {
          for (const next of steps) {
            const contents = contentsOf(drives);
            switch (next.kind) {
              case "write": {
                const bytes = pattern(next.range.length, next.seed);
                contents.write(bytes, next.range.position);
                model.set(bytes, next.range.position);
                break;
              }
              case "read": {
                const { position, length } = next.range;
                const found = [new Uint8Array(length), new Uint8Array(length)] as const;
                contents.read(found[0], position);
                await contents.readLater(found[1], position);
                const expected = model.subarray(position, position + length);
                expect(Buffer.compare(found[0], expected)).toBe(0);
                expect(Buffer.compare(found[1], expected)).toBe(0);
                break;
              }
              case "sync":
                contents.sync("data");
                break;
              case "reopen":
                await drives.dispose();
                drives = await NodeDrives.open([options]);
            }
          }
          expect(Buffer.compare(bytesOf(drives), model)).toBe(0);
        } finally {
          await drives.dispose();
        }
      }),
      { numRuns: 60 },
    );
    expect(Buffer.compare(readFileSync(base), original)).toBe(0);
  });
});

describe("an overlay", () => {
  it("holds no more than the clusters that were written", async () => {
    const directory = new ImageDirectory();
    const length = 8 * CHUNK_SIZE + 10;
    const base = directory.make("base", new Uint8Array(length));
    const drives = await held(drive(directory.file("top"), { backing: base }));
    const contents = contentsOf(drives);
    const heldChunks = (): number[] =>
      Array.from({ length: 9 }, (_, n) => n).filter((n) => contents.holds(n));
    expect(heldChunks()).toEqual([]);
    contents.write(Uint8Array.of(1), 3 * CHUNK_SIZE - 1);
    contents.write(Uint8Array.of(1, 2), 6 * CHUNK_SIZE - 1);
    contents.write(Uint8Array.of(1), length - 1);
    expect(heldChunks()).toEqual([2, 5, 6, 8]);
    contents.sync("all");
    expect(statSync(directory.file("top")).blocks * 512).toBeLessThan(CHUNK_SIZE);
  });
});

it("the map of an overlay is written when the data that it tells of are on the disk, and not before", async () => {
  const directory = new ImageDirectory();
  const base = directory.make("base", pattern(LENGTH, 7));
  const drives = await held(drive(directory.file("top"), { backing: base }));
  const contents = contentsOf(drives);
  const calls: string[] = [];
  const { writeSync, fdatasyncSync } = fs;
  onTestFinished(() => void vi.restoreAllMocks());
  vi.spyOn(fs, "writeSync").mockImplementation(((
    fd: number,
    bytes: Uint8Array,
    ...rest: [number, number, number]
  ) => {
    calls.push(rest[2] < LENGTH ? "data" : "map");
    return writeSync(fd, bytes, ...rest);
  }) as typeof fs.writeSync);
  vi.spyOn(fs, "fdatasyncSync").mockImplementation((fd) => {
    calls.push("sync");
    fdatasyncSync(fd);
  });
  contents.write(Uint8Array.of(1), CLUSTER_BYTES - 1);
  contents.sync("data");
  contents.write(Uint8Array.of(2), 0);
  contents.sync("data");
  expect(calls).toEqual(["data", "data", "sync", "map", "sync", "data", "sync"]);
});

describe("the dirty log", () => {
  it("has the chunks that were written since it was taken, those of a write that failed too", async () => {
    const directory = new ImageDirectory();
    const drives = await held(drive(directory.make("image", new Uint8Array(9 * CHUNK_SIZE + 5))));
    const contents = contentsOf(drives);
    const log = new DirtyBitmap(10);
    contents.write(Uint8Array.of(1, 2), 4 * CHUNK_SIZE - 1);
    contents.write(Uint8Array.of(1), 9 * CHUNK_SIZE);
    expect(contents.takeMarks(log)).toBe(3);
    expect([3, 4, 9].every((chunk) => log.test(chunk))).toBe(true);
    expect(contents.takeMarks(log)).toBe(0);
    contents.write(Uint8Array.of(1), 4 * CHUNK_SIZE);
    contents.write(Uint8Array.of(1), 0);
    expect(contents.takeMarks(log)).toBe(1);
    await drives.dispose();
    expect(() => contents.write(Uint8Array.of(1), CHUNK_SIZE)).toThrow(RangeError);
    expect(contents.takeMarks(log)).toBe(1);
    expect(log.test(1)).toBe(true);
  });
});
