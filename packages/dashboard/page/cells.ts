import type { MemoryView } from "../src/messages.ts";
import { percent } from "./format.ts";

/** Of a cell: sent and clean, zero and clean, dirty again. */
export const CELL_BYTES = 3;

export const PAGE_SIZE = 4096;

export type Rgb = readonly [red: number, green: number, blue: number];

/** What a page can be, with the names that their colours have in the style sheet. */
export const STATES = [
  { name: "untouched", label: "not sent yet" },
  { name: "sent", label: "sent" },
  { name: "zero", label: "zero" },
  { name: "dirty", label: "dirty again" },
] as const;

export type PageState = (typeof STATES)[number]["name"];

/** What is at a cell, for a person. */
export function describeCell({ blocks, pagesPerCell, cells }: MemoryView, cell: number): string {
  let first = 0;
  for (const block of blocks) {
    if (cell < first + block.cells) {
      const from = (cell - first) * pagesPerCell;
      const to = Math.min(from + pagesPerCell, block.pages);
      const shares = sharesOf(cells.subarray(cell * CELL_BYTES, (cell + 1) * CELL_BYTES));
      const words = STATES.filter(({ name }) => shares[name] > 0).map(
        ({ name, label }) => `${percent(shares[name])} ${label}`,
      );
      return `${block.name}, ${hex(from)} to ${hex(to)}: ${words.join(", ")}`;
    }
    first += block.cells;
  }
  return "";
}

function hex(page: number): string {
  return `0x${(page * PAGE_SIZE).toString(16)}`;
}

/** What rounding takes from the shares of a cell at most. */
const ROUNDING = 2 / 255;

/** The mean of all cells. */
export function sharesOf(cells: Uint8Array): Record<PageState, number> {
  let [sent, zero, dirty] = [0, 0, 0];
  for (let at = 0; at < cells.length; at += CELL_BYTES) {
    sent += cells[at]!;
    zero += cells[at + 1]!;
    dirty += cells[at + 2]!;
  }
  const all = Math.max(cells.length / CELL_BYTES, 1) * 255;
  const left = 1 - (sent + zero + dirty) / all;
  // Shares are rounded down, so a memory of which everything was sent seems to be a little less than all.
  const untouched = left < ROUNDING ? 0 : left;
  return { untouched, sent: sent / all, zero: zero / all, dirty: dirty / all };
}

/**
 * One pixel for each cell. A few dirty pages of many are what one looks for, so their colour counts by the root of their
 * share.
 */
export function paint(
  pixels: Uint8ClampedArray,
  cells: Uint8Array,
  colours: Readonly<Record<PageState, Rgb>>,
): void {
  const { untouched, sent, zero, dirty } = colours;
  for (let at = 0, out = 0; at < cells.length; at += CELL_BYTES, out += 4) {
    const [s, z, d] = [cells[at]! / 255, cells[at + 1]! / 255, Math.sqrt(cells[at + 2]! / 255)];
    const clean = Math.max(1 - cells[at + 2]! / 255, 1 / 255);
    const [ps, pz] = [Math.min(s / clean, 1), Math.min(z / clean, 1)];
    for (let n = 0; n < 3; n++) {
      const base = sent[n]! * ps + zero[n]! * pz + untouched[n]! * Math.max(1 - ps - pz, 0);
      pixels[out + n] = base * (1 - d) + dirty[n]! * d;
    }
    pixels[out + 3] = 255;
  }
}
