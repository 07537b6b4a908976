import { illegalRamOffset } from "./refusals.ts";
import { WIRE_PAGE_SIZE } from "./wire.ts";

/** Pages that follow each other in a RAM block. */
export interface PageRun {
  /** Of the first page in the block, bytes. */
  readonly offset: number;
  /** How many they are, from 1 on. */
  readonly pages: number;
}

/** How many pages these are together. */
export function countPages(runs: readonly PageRun[]): number {
  return runs.reduce((sum, { pages }) => sum + pages, 0);
}

/** Bytes of the pages together. */
export function bytesOf(runs: readonly PageRun[]): number {
  return countPages(runs) * WIRE_PAGE_SIZE;
}

/** What is left of the runs behind so many pages. */
export function behind(runs: readonly PageRun[], pages: number): readonly PageRun[] {
  let left = pages;
  let first = 0;
  while (first < runs.length && left >= runs[first]!.pages) left -= runs[first++]!.pages;
  const rest = runs.slice(first);
  if (left > 0) rest[0] = { offset: rest[0]!.offset + left * WIRE_PAGE_SIZE, pages: rest[0]!.pages - left };
  return rest;
}

/** Errors: BAD_RAM_PAGE with the first page that is not in the block. */
export function requireInBlock({ offset, pages }: PageRun, length: number): void {
  if (offset + (pages - 1) * WIRE_PAGE_SIZE < length) return;
  throw illegalRamOffset(Math.max(offset, Math.ceil(length / WIRE_PAGE_SIZE) * WIRE_PAGE_SIZE));
}
