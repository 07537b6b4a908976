import { readFileSync } from "node:fs";
import koffi from "koffi";
import { describe, expect, test } from "vitest";
import { adviseHugePages, giveMemory, giveMemoryHere, prepareMemoryAdvice } from "./memory-advice.ts";

const MIB = 1 << 20;

/**
 * Bytes of a memory that the kernel has given. Not of the whole process: what an earlier test has used may be freed at any
 * moment. The memory begins at a page.
 */
function given(memory: Uint8Array): number {
  const mincore = koffi.load(null).func("int mincore(void *address, size_t length, _Out_ uint8_t *pages)");
  const pages = new Uint8Array(memory.length / 4096);
  expect(mincore(memory, memory.length, pages)).toBe(0);
  return pages.reduce((sum, page) => sum + (page & 1), 0) * 4096;
}

/** Bytes of this process's memory that are in huge pages. */
function hugeBytes(): number {
  const text = readFileSync("/proc/self/smaps_rollup", "utf8");
  return Number(/^AnonHugePages:\s+(\d+) kB/mu.exec(text)?.[1]) * 1024;
}

function sharedMemory(): Uint8Array {
  const pages = (256 * MIB) / 65536;
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: 2 * pages, shared: true }).buffer);
}

describe.runIf(process.platform === "linux")("what the kernel is told of a memory", () => {
  test("it gives memory ahead of the first write, and leaves what was written", async () => {
    const memory = sharedMemory();
    memory[5 * MIB] = 7;
    const before = given(memory);
    expect(await giveMemory(memory.subarray(4 * MIB, 132 * MIB))).toBe(true);
    expect(given(memory) - before).toBeGreaterThan(120 * MIB);
    expect(memory[5 * MIB]).toBe(7);
    expect(memory[131 * MIB]).toBe(0);
  });

  test("it gives it in this thread, too, from when that is prepared", async () => {
    const memory = sharedMemory();
    await prepareMemoryAdvice();
    const before = given(memory);
    expect(giveMemoryHere(memory.subarray(4 * MIB, 36 * MIB))).toBe(true);
    expect(given(memory) - before).toBeGreaterThan(30 * MIB);
    expect(giveMemoryHere(memory.subarray(100, 100 + MIB))).toBe(false);
  });

  test("a range that does not begin at a page is not given, and that is told", async () => {
    expect(await giveMemory(sharedMemory().subarray(100, 100 + MIB))).toBe(false);
  });

  test("huge pages are used where the kernel has them for those who ask", async ({ skip }) => {
    const setting = readFileSync("/sys/kernel/mm/transparent_hugepage/enabled", "utf8");
    skip(!setting.includes("[madvise]"), "it gives them to everybody, or to nobody");
    const memory = sharedMemory();
    const before = hugeBytes();
    // More than there is now: the memory can grow in its place.
    await adviseHugePages(memory, 2 * memory.length);
    for (let at = 0; at < memory.length; at += 4096) memory[at] = 1;
    expect(hugeBytes() - before).toBeGreaterThan(200 * MIB);
  });
});
