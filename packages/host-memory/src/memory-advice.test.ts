import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { adviseHugePages, giveMemory, giveMemoryHere, prepareMemoryAdvice } from "./memory-advice.ts";

const MIB = 1 << 20;

/** Bytes of this process's memory that the kernel has given, and of those in huge pages. */
function given(): { all: number; huge: number } {
  const text = readFileSync("/proc/self/smaps_rollup", "utf8");
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "mu").exec(text)?.[1]);
  return { all: kib("Rss") * 1024, huge: kib("AnonHugePages") * 1024 };
}

function sharedMemory(): Uint8Array {
  const pages = (256 * MIB) / 65536;
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: 2 * pages, shared: true }).buffer);
}

describe.runIf(process.platform === "linux")("what the kernel is told of a memory", () => {
  test("it gives memory ahead of the first write, and leaves what was written", async () => {
    const memory = sharedMemory();
    memory[5 * MIB] = 7;
    const before = given().all;
    expect(await giveMemory(memory.subarray(4 * MIB, 132 * MIB))).toBe(true);
    expect(given().all - before).toBeGreaterThan(120 * MIB);
    expect(memory[5 * MIB]).toBe(7);
    expect(memory[131 * MIB]).toBe(0);
  });

  test("it gives it in this thread, too, from when that is prepared", async () => {
    const memory = sharedMemory();
    await prepareMemoryAdvice();
    const before = given().all;
    expect(giveMemoryHere(memory.subarray(4 * MIB, 36 * MIB))).toBe(true);
    expect(given().all - before).toBeGreaterThan(30 * MIB);
    expect(giveMemoryHere(memory.subarray(100, 100 + MIB))).toBe(false);
  });

  test("a range that does not begin at a page is not given, and that is told", async () => {
    expect(await giveMemory(sharedMemory().subarray(100, 100 + MIB))).toBe(false);
  });

  test("huge pages are used where the kernel has them for those who ask", async ({ skip }) => {
    const setting = readFileSync("/sys/kernel/mm/transparent_hugepage/enabled", "utf8");
    skip(!setting.includes("[madvise]"), "it gives them to everybody, or to nobody");
    const memory = sharedMemory();
    const before = given().huge;
    // More than there is now: the memory can grow in its place.
    await adviseHugePages(memory, 2 * memory.length);
    for (let at = 0; at < memory.length; at += 4096) memory[at] = 1;
    expect(given().huge - before).toBeGreaterThan(200 * MIB);
  });
});
