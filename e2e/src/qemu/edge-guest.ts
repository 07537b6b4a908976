import { fileURLToPath } from "node:url";

/** The boot sector made of guests/edge.s. What follows are figures of its source. */
export const EDGE_BOOT_SECTOR = fileURLToPath(new URL("../../guests/edge.bin", import.meta.url));
const PAGE = 4096;
const MEMORY = 0x20_0000;
const COUNTED_PAGES = 2816;
const FLICKERING_PAGES = 64;
const PAGES = COUNTED_PAGES + FLICKERING_PAGES;

/** How far the guest is, as its memory shows. */
export interface Edge {
  /** Whole sweeps that it has made, modulo 256. */
  readonly sweeps: number;
  /** Pages that the sweep it is in has changed; 0 between two sweeps. */
  readonly page: number;
}

/**
 * Finds the one edge in the memory of a guest that stands still; `memory` begins at address 0.
 * Errors: when a page is older or newer than its place allows, or does not hold what was filled in.
 */
export function edgeIn(memory: Buffer): Edge {
  const newest = memory[MEMORY]!;
  let page = 0;
  while (page < PAGES && memory[MEMORY + page * PAGE] === firstByte(page, newest)) page++;
  for (let older = page; older < PAGES; older++) {
    expectByte(memory, MEMORY + older * PAGE, firstByte(older, newest - 1));
  }
  expectFill(memory);
  return page === PAGES ? { sweeps: newest, page: 0 } : { sweeps: (newest + 255) % 256, page };
}

/** A page's first byte after that many sweeps. */
function firstByte(page: number, sweeps: number): number {
  if (page < COUNTED_PAGES) return sweeps & 0xff;
  return sweeps & 1 ? 0xff : 0;
}

/** The counted pages as they are filled, before the first sweep. */
const FILL = new Uint8Array(
  Uint32Array.from({ length: (COUNTED_PAGES * PAGE) / 4 }, (_, n) => MEMORY + n * 4).buffer,
);

/** All but the pages' first bytes is as it was filled: its own address, and zeros behind. */
function expectFill(memory: Buffer): void {
  const pages = Buffer.from(memory.subarray(MEMORY, MEMORY + PAGES * PAGE));
  for (let page = 0; page < PAGES; page++) pages[page * PAGE] = 0;
  if (pages.subarray(0, FILL.length).equals(FILL) && isZero(pages.subarray(FILL.length))) return;
  for (const [at, byte] of pages.entries()) {
    const expected = FILL[at] ?? 0;
    if (byte !== expected) throw wrong(MEMORY + at, byte, expected);
  }
}

function isZero(bytes: Buffer): boolean {
  return bytes.equals(Buffer.alloc(bytes.length));
}

function expectByte(memory: Buffer, address: number, expected: number): void {
  const byte = memory[address]!;
  if (byte !== expected) throw wrong(address, byte, expected);
}

function wrong(address: number, found: number, expected: number): Error {
  return new Error(
    `guest memory at 0x${address.toString(16)} (page ${(address - MEMORY) >>> 12} of the sweep) holds ${found} instead of ${expected}`,
  );
}

/** The numbers that the guest has printed, one a sweep; a line that is not complete is left out. Errors: when it printed something else. */
export function printedSweeps(serial: string): number[] {
  return serial
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      if (!/^[0-9A-F]{8}$/.test(line)) throw new Error(`the guest printed '${line}'`);
      return Number.parseInt(line, 16);
    });
}
