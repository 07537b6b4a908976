import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { MemoryAhead } from "./memory-ahead.ts";

const MIB = 1 << 20;
const PIECE = 256 * 1024;

function givenBytes(): number {
  return Number(/^Rss:\s+(\d+) kB/mu.exec(readFileSync("/proc/self/smaps_rollup", "utf8"))?.[1]) * 1024;
}

function sharedMemory(mib: number): Uint8Array {
  const pages = (mib * MIB) / 65536;
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer);
}

/** Writes as a loader does. */
function write(memory: Uint8Array, ahead: MemoryAhead, offset: number, bytes: number): void {
  memory.fill(1, offset, offset + bytes);
  ahead.arrived(offset, bytes);
}

async function untilGiven(least: number): Promise<void> {
  while (givenBytes() < least) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe.runIf(process.platform === "linux")("memory ahead of the pages", () => {
  test("is given behind pages that come one after the other", async () => {
    const memory = sharedMemory(64);
    const ahead = new MemoryAhead(memory);
    const before = givenBytes();
    for (let offset = 0; offset < 2 * MIB; offset += PIECE) write(memory, ahead, offset, PIECE);
    // What was written, and most of a window.
    await untilGiven(before + 14 * MIB);
    expect(memory[10 * MIB]).toBe(0);
    expect(memory[2 * MIB - 1]).toBe(1);
  });

  test("is not given behind pages that lie apart", async () => {
    const memory = sharedMemory(512);
    const ahead = new MemoryAhead(memory);
    const before = givenBytes();
    for (let offset = 0; offset < memory.length; offset += 4 * MIB) write(memory, ahead, offset, PIECE);
    await new Promise((resolve) => setImmediate(resolve));
    // A huge page for each at most.
    expect(givenBytes() - before).toBeLessThan(300 * MIB);
  });

  test("ends at the end of the memory", async () => {
    const memory = sharedMemory(4);
    const ahead = new MemoryAhead(memory);
    const before = givenBytes();
    for (let offset = 0; offset < memory.length; offset += PIECE) {
      write(memory, ahead, offset, PIECE);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(memory.every((byte) => byte === 1)).toBe(true);
    expect(givenBytes() - before).toBeLessThan(64 * MIB);
  });
});
