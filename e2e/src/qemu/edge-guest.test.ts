import { describe, expect, it } from "vitest";
import { edgeIn, printedSweeps } from "./edge-guest.ts";

const FIRST = 0x20_0000;
const PAGES = 2880;

/** Memory of a guest that has made whole sweeps and changed some pages more. */
function memoryAfter(sweeps: number, pages: number): Buffer {
  const memory = Buffer.alloc(16 << 20);
  for (let at = FIRST; at < FIRST + 2816 * 4096; at += 4) memory.writeUInt32LE(at, at);
  for (let page = 0; page < PAGES; page++) {
    const count = page < pages ? sweeps + 1 : sweeps;
    memory[FIRST + page * 4096] = page < 2816 ? count & 0xff : (count % 2) * 0xff;
  }
  return memory;
}

describe("the edge in a guest's memory", () => {
  it.each([
    [0, 0],
    [1, 1],
    [7, 2815],
    [7, 2816],
    [255, 2879],
    [300, 64],
  ])("after %i sweeps and %i pages", (sweeps, page) => {
    expect(edgeIn(memoryAfter(sweeps, page))).toEqual({ sweeps: sweeps % 256, page });
  });

  it.each([
    ["an old page in front of it", 100, 3, 7],
    ["a new page behind it", 100, 1000, 8],
    ["an old page behind the counted ones", 2850, 2820, 0xff],
  ])("is not the only one: %s", (_, pages, page, byte) => {
    const memory = memoryAfter(7, pages);
    memory[FIRST + page * 4096] = byte;
    expect(() => edgeIn(memory)).toThrow(/guest memory at 0x/);
  });

  it.each([
    ["a byte is not the one that was filled in", 50 * 4096 + 8],
    ["a byte behind the filled pages is not 0", 2850 * 4096 + 1],
  ])("is right, but %s", (_, at) => {
    const memory = memoryAfter(7, 100);
    memory[FIRST + at] = memory[FIRST + at]! ^ 1;
    expect(() => edgeIn(memory)).toThrow(`guest memory at 0x${(FIRST + at).toString(16)} `);
  });
});

describe("what a guest printed", () => {
  it("is a number a line, as far as it has come", () => {
    expect(printedSweeps("00000001\n0000000A\n0000")).toEqual([1, 10]);
  });

  it("is nothing else", () => {
    expect(() => printedSweeps("00000001\n0A\n")).toThrow("the guest printed '0A'");
  });
});
