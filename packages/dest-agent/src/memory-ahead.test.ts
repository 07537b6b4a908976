import { readFileSync } from "node:fs";
import { prepareMemoryAdvice } from "@peregrine/host-memory";
import { describe, expect, test } from "vitest";
import { MemoryAhead } from "./memory-ahead.ts";
import type { MemoryGiver } from "./memory-ahead.ts";

const MIB = 1 << 20;
const PIECE = 256 * 1024;

function givenBytes(): number {
  return Number(/^Rss:\s+(\d+) kB/mu.exec(readFileSync("/proc/self/smaps_rollup", "utf8"))?.[1]) * 1024;
}

function sharedMemory(mib: number): Uint8Array {
  const pages = (mib * MIB) / 65536;
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer);
}

/** Gives nothing, and takes as long for a MiB as it is told. */
class TimedGiver implements MemoryGiver {
  perMib: number;
  /** In MiB, from where to where. */
  readonly askedHere: [number, number][] = [];
  readonly askedAside: [number, number][] = [];
  isGiven: boolean | undefined = true;
  readonly #waiting: (() => void)[] = [];
  #time = 0;

  constructor(perMib: number) {
    this.perMib = perMib;
  }

  threadTime(): number {
    return this.#time;
  }

  here(memory: Uint8Array): boolean | undefined {
    this.askedHere.push(rangeOf(memory));
    this.#time += (memory.length / MIB) * this.perMib;
    return this.isGiven;
  }

  async aside(memory: Uint8Array): Promise<boolean> {
    this.askedAside.push(rangeOf(memory));
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.isGiven === true;
  }

  /** What was asked for first is there. */
  async gave(): Promise<void> {
    this.#waiting.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function rangeOf(memory: Uint8Array): [number, number] {
  return [memory.byteOffset / MIB, (memory.byteOffset + memory.length) / MIB];
}

/** Tells of pages one behind the other. */
function arrive(ahead: MemoryAhead, fromMib: number, toMib: number): void {
  for (let offset = fromMib * MIB; offset < toMib * MIB; offset += PIECE) ahead.arrived(offset, PIECE);
}

describe("memory ahead of the pages", () => {
  const memory = sharedMemory(64);
  const large = sharedMemory(128);

  test("where the kernel has it at hand, only the first of each window is asked for", () => {
    const giver = new TimedGiver(0.1);
    arrive(new MemoryAhead(memory, giver), 0, 64);
    expect(giver.askedHere).toEqual([
      [2, 4],
      [18, 20],
      [34, 36],
      [50, 52],
    ]);
    expect(giver.askedAside).toEqual([]);
  });

  test("where it is slow, two windows are asked for ahead of what comes, and it is looked again behind four", async () => {
    const giver = new TimedGiver(2.5);
    const ahead = new MemoryAhead(large, giver);
    arrive(ahead, 0, 1);
    expect(giver.askedHere).toEqual([[2, 4]]);
    expect(giver.askedAside).toEqual([[4, 20]]);
    arrive(ahead, 1, 4);
    expect(giver.askedAside.slice(1)).toEqual([[20, 36]]);
    // No more before one of them is there.
    arrive(ahead, 4, 21);
    expect(giver.askedAside).toHaveLength(2);
    await giver.gave();
    arrive(ahead, 21, 22);
    await giver.gave();
    arrive(ahead, 22, 38);
    expect(giver.askedAside.slice(2)).toEqual([
      [36, 52],
      [52, 68],
    ]);
    expect(giver.askedHere).toHaveLength(1);
    await giver.gave();
    await giver.gave();
    arrive(ahead, 38, 68);
    expect(giver.askedHere.slice(1)).toEqual([[68, 70]]);
    expect(giver.askedAside.slice(4)).toEqual([[70, 86]]);
  });

  test("where it was slow and is quick now, it is left to the first write again", async () => {
    const giver = new TimedGiver(2.5);
    const ahead = new MemoryAhead(large, giver);
    arrive(ahead, 0, 1);
    giver.perMib = 0.1;
    for (let mib = 1; mib < 128; mib++) {
      await giver.gave();
      arrive(ahead, mib, mib + 1);
    }
    expect(giver.askedAside).toHaveLength(4);
    expect(giver.askedHere).toEqual([
      [2, 4],
      [68, 70],
      [84, 86],
      [100, 102],
      [116, 118],
    ]);
  });

  test("another thread that does not give it is not asked again", async () => {
    const giver = new TimedGiver(2.5);
    const ahead = new MemoryAhead(memory, giver);
    arrive(ahead, 0, 1);
    giver.isGiven = false;
    await giver.gave();
    arrive(ahead, 1, 64);
    expect(giver.askedHere).toHaveLength(1);
    expect(giver.askedAside).toHaveLength(1);
  });

  test("a kernel that does not do it is not asked again, one that cannot be asked yet is", () => {
    const giver = new TimedGiver(0.1);
    giver.isGiven = undefined;
    const ahead = new MemoryAhead(memory, giver);
    arrive(ahead, 0, 6);
    expect(giver.askedHere).toEqual([
      [2, 4],
      [4, 6],
      [6, 8],
    ]);
    giver.isGiven = false;
    arrive(ahead, 6, 64);
    expect(giver.askedHere).toHaveLength(4);
    expect(giver.askedAside).toEqual([]);
  });

  test("is not asked for behind pages that lie apart, nor behind the end", () => {
    const giver = new TimedGiver(2.5);
    const ahead = new MemoryAhead(memory, giver);
    for (let offset = 0; offset < memory.length; offset += 4 * MIB) ahead.arrived(offset, PIECE);
    arrive(ahead, 62, 64);
    expect([...giver.askedHere, ...giver.askedAside]).toEqual([]);
  });
});

describe.runIf(process.platform === "linux")("memory that the kernel gives ahead of the pages", () => {
  test("stays as it is where something was written", async () => {
    await prepareMemoryAdvice();
    const memory = sharedMemory(64);
    const before = givenBytes();
    const ahead = new MemoryAhead(memory);
    memory[3 * MIB] = 9;
    memory.fill(1, 0, 2 * MIB);
    arrive(ahead, 0, 2);
    // What was written, and a piece of the first window.
    expect(givenBytes() - before).toBeGreaterThan(3.5 * MIB);
    expect([memory[2 * MIB - 1], memory[2 * MIB], memory[3 * MIB]]).toEqual([1, 0, 9]);
  });
});
