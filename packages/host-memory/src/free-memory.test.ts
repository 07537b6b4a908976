import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { freemem, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { freeMemory } from "./free-memory.ts";

const MIB = 2 ** 20;
const MEMINFO = "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:    8388608 kB\n";

let root: string | undefined;

afterEach(() => {
  if (root !== undefined) rmSync(root, { recursive: true });
  root = undefined;
});

function freeOn(files: Readonly<Record<string, string>>): number {
  root = mkdtempSync(join(tmpdir(), "free-memory-"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return freeMemory(root);
}

const V2 = { "proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/a/b\n" };

describe("the memory that is free", () => {
  test("is less than the host has, and not far from what it says", () => {
    const bytes = freeMemory();
    expect(bytes % MIB).toBe(0);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(totalmem());
    expect(bytes).toBeLessThan(freemem() * 1.5 + 64 * MIB);
  });

  test("is what the host has available", () => {
    expect(freeOn({ "proc/meminfo": MEMINFO })).toBe(8192 * MIB);
  });

  test("is what a control group leaves, and files that it holds can be read again", () => {
    const group = "sys/fs/cgroup/a/b";
    const files = {
      ...V2,
      [`${group}/memory.max`]: `${1024 * MIB}\n`,
      [`${group}/memory.current`]: `${900 * MIB + 1}\n`,
      [`${group}/memory.stat`]: `anon 7\ninactive_file ${500 * MIB}\nactive_file 1\n`,
    };
    expect(freeOn(files)).toBe(623 * MIB);
  });

  test.each([
    { around: 1024, own: Infinity, free: 124 },
    { around: 1024, own: 920, free: 20 },
    { around: 4096, own: 1000, free: 100 },
  ])("is the least that a group of $own MiB or one around it of $around leaves", ({ around, own, free }) => {
    const slice = "sys/fs/cgroup/a";
    const files = {
      ...V2,
      [`${slice}/memory.max`]: `${around * MIB}\n`,
      [`${slice}/memory.current`]: `${950 * MIB}\n`,
      [`${slice}/memory.stat`]: `inactive_file ${50 * MIB}\n`,
      [`${slice}/b/memory.max`]: own === Infinity ? "max\n" : `${own * MIB}\n`,
      [`${slice}/b/memory.current`]: `${900 * MIB}\n`,
      [`${slice}/b/memory.stat`]: "inactive_file 0\n",
    };
    expect(freeOn(files)).toBe(free * MIB);
  });

  test("is the least of the groups of the first version, too", () => {
    const mount = "sys/fs/cgroup/memory";
    const files = {
      "proc/meminfo": MEMINFO,
      "proc/self/cgroup": "5:memory:/x/y/z\n",
      [`${mount}/memory.limit_in_bytes`]: "9223372036854771712\n",
      [`${mount}/x/memory.limit_in_bytes`]: `${512 * MIB}\n`,
      [`${mount}/x/memory.usage_in_bytes`]: `${500 * MIB}\n`,
      [`${mount}/x/y/memory.limit_in_bytes`]: `${2048 * MIB}\n`,
      [`${mount}/x/y/z/memory.limit_in_bytes`]: "9223372036854771712\n",
    };
    expect(freeOn(files)).toBe(12 * MIB);
  });

  test("is that of the group which a container sees as the root", () => {
    const files = {
      ...V2,
      "sys/fs/cgroup/memory.max": `${256 * MIB}\n`,
      "sys/fs/cgroup/memory.current": `${MIB}\n`,
    };
    expect(freeOn(files)).toBe(255 * MIB);
  });

  test("is that of a group of the first version", () => {
    const group = "sys/fs/cgroup/memory/x";
    const files = {
      "proc/meminfo": MEMINFO,
      "proc/self/cgroup": "5:cpu,memory:/x\n0::/\n",
      [`${group}/memory.limit_in_bytes`]: `${512 * MIB}\n`,
      [`${group}/memory.usage_in_bytes`]: `${500 * MIB}\n`,
      [`${group}/memory.stat`]: `inactive_file 5\ntotal_inactive_file ${100 * MIB}\n`,
    };
    expect(freeOn(files)).toBe(112 * MIB);
  });

  test("is not bounded by a group without a limit, nor below nothing", () => {
    expect(freeOn({ ...V2, "sys/fs/cgroup/a/b/memory.max": "max\n" })).toBe(8192 * MIB);
    rmSync(root!, { recursive: true });
    const full = { "sys/fs/cgroup/a/b/memory.max": "5\n", "sys/fs/cgroup/a/b/memory.current": "10\n" };
    expect(freeOn({ ...V2, ...full })).toBe(0);
  });

  test("is unknown where nothing tells", () => {
    expect(freeOn({ other: "" })).toBe(Infinity);
  });
});
