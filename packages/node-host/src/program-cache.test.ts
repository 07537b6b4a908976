import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Rewritten } from "@peregrine/machine-wasm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ProgramCache } from "./program-cache.ts";

const ORIGINAL = Uint8Array.of(1, 2, 3);
const REWRITTEN: Rewritten = {
  plain: Uint8Array.of(4, 5),
  tracked: Uint8Array.of(6, 7, 8),
  info: {
    memory: { initial: 1, maximum: 2 },
    segments: [{ address: 16, bytes: Uint8Array.of(9) }],
    sites: {
      frameBytes: Uint32Array.of(16),
      ordinals: Uint32Array.of(0),
      above: Int32Array.of(-2),
      entry: 0,
    },
    globalBytes: 4,
    droppable: 0,
    changingTables: [],
  },
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "peregrine-cache-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe("the cache of rewritten programs", () => {
  it("gives back what was put in, for the same program and variant only", async () => {
    const cache = new ProgramCache(join(directory, "made", "on", "demand"));
    expect(await cache.get(ORIGINAL, "plain")).toBeUndefined();
    await cache.put(ORIGINAL, "plain", REWRITTEN);
    expect(await cache.get(ORIGINAL, "plain")).toEqual(REWRITTEN);
    expect(await cache.get(ORIGINAL, "release")).toBeUndefined();
    expect(await cache.get(Uint8Array.of(1, 2, 4), "plain")).toBeUndefined();
  });

  it("takes a damaged file for absent, and replaces it", async () => {
    const cache = new ProgramCache(directory);
    await cache.put(ORIGINAL, "plain", REWRITTEN);
    const [name, ...others] = readdirSync(directory);
    expect(others).toEqual([]);
    const file = join(directory, name!);
    const whole = readFileSync(file);
    for (let at = 0; at < whole.length; at += 7) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 0x10;
      writeFileSync(file, damaged);
      expect(await cache.get(ORIGINAL, "plain")).toBeUndefined();
      writeFileSync(file, whole.subarray(0, at));
      expect(await cache.get(ORIGINAL, "plain")).toBeUndefined();
    }
    await cache.put(ORIGINAL, "plain", REWRITTEN);
    expect(await cache.get(ORIGINAL, "plain")).toEqual(REWRITTEN);
  });

  it("is no error when it cannot be written", async () => {
    writeFileSync(join(directory, "file"), "");
    const cache = new ProgramCache(join(directory, "file"));
    await cache.put(ORIGINAL, "plain", REWRITTEN);
    expect(await cache.get(ORIGINAL, "plain")).toBeUndefined();
  });
});
