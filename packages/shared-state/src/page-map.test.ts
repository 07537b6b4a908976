import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PAGE_SIZE } from "./machine.ts";
import { CELL_BYTES, PageMap, pictureOf } from "./page-map.ts";
import type { MemoryPicture } from "./page-map.ts";

const mapOf = (...pages: readonly number[]): PageMap =>
  new PageMap(pages.map((count, n) => ({ name: `block${n}`, length: count * PAGE_SIZE })));

/** Sent, zero and dirty again of each cell. */
function cellsOf({ cells }: MemoryPicture): number[][] {
  return Array.from({ length: cells.length / CELL_BYTES }, (_, n) => [...cells.subarray(3 * n, 3 * n + 3)]);
}

describe("the picture of guest memory", () => {
  test("tells what was not sent yet, sent, zero and dirty again", () => {
    const map = mapOf(8);
    map.setUsed(0, 5);
    map.dirty[0]!.setAll(5);
    for (const page of [1, 2, 3]) map.dirty[0]!.clear(page);
    map.markSent(0, 1, 3);
    map.markZero(0, 2, 1);
    map.dirty[0]!.set(3);
    expect(cellsOf(pictureOf(map.access, 100))).toEqual([
      [0, 0, 0],
      [255, 0, 0],
      [0, 255, 0],
      [0, 0, 255],
      [0, 0, 0],
    ]);
  });

  test("a page that is no longer zero when it is sent again is not zero", () => {
    const map = mapOf(1);
    map.setUsed(0, 1);
    map.markSent(0, 0, 1);
    map.markZero(0, 0, 1);
    map.markSent(0, 0, 1);
    expect(cellsOf(pictureOf(map.access, 1))).toEqual([[255, 0, 0]]);
  });

  test("one dirty page of a million shows", () => {
    const map = mapOf(1 << 20);
    map.setUsed(0, 1 << 20);
    map.markSent(0, 0, 1 << 20);
    map.dirty[0]!.set((1 << 20) - 1);
    expect(cellsOf(pictureOf(map.access, 1))).toEqual([[254, 0, 1]]);
  });

  test("cells are of one block, and no more than asked for", () => {
    const map = mapOf(1000, 3, 70);
    for (const [block, pages] of [1000, 3, 70].entries()) map.setUsed(block, pages);
    map.markSent(1, 0, 3);
    const picture = pictureOf(map.access, 40);
    expect(picture.pagesPerCell).toBe(32);
    expect(picture.blocks).toEqual([
      { name: "block0", pages: 1000, cells: 32 },
      { name: "block1", pages: 3, cells: 1 },
      { name: "block2", pages: 70, cells: 3 },
    ]);
    expect(cellsOf(picture)[32]).toEqual([255, 0, 0]);
  });

  test("more blocks than cells have a cell each, and blocks that are empty none", () => {
    const map = mapOf(4, 4, 4);
    map.setUsed(0, 4);
    map.setUsed(2, 4);
    expect(pictureOf(map.access, 1)).toMatchObject({
      pagesPerCell: 4,
      blocks: [{ cells: 1 }, { cells: 0 }, { cells: 1 }],
    });
    expect(pictureOf(mapOf().access, 1)).toMatchObject({ blocks: [] });
  });

  test("is what one gets by counting page by page", () => {
    const run = fc.record({
      kind: fc.constantFrom("dirty", "clean", "sent", "zero"),
      page: fc.nat(199),
      count: fc.integer({ min: 1, max: 80 }),
    });
    fc.assert(
      fc.property(
        fc.array(run, { maxLength: 30 }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 300 }),
        (runs, used, most) => {
          const map = mapOf(200);
          map.setUsed(0, used);
          const pages = Array.from({ length: 200 }, () => ({ dirty: false, sent: false, zero: false }));
          for (const { kind, page, count } of runs) {
            const length = Math.min(count, 200 - page);
            if (kind === "dirty") map.dirty[0]!.setRange(page, length);
            else if (kind === "clean") for (let at = page; at < page + length; at++) map.dirty[0]!.clear(at);
            else if (kind === "sent") map.markSent(0, page, length);
            else map.markZero(0, page, length);
            for (const state of pages.slice(page, page + length)) {
              if (kind === "dirty" || kind === "clean") state.dirty = kind === "dirty";
              else if (kind === "zero") state.zero = true;
              else Object.assign(state, { sent: true, zero: false });
            }
          }
          const picture = pictureOf(structuredClone(map.access), most);
          const cells = cellsOf(picture);
          expect(cells.length).toBeLessThanOrEqual(most);
          expect(cells.length).toBe(Math.ceil(used / picture.pagesPerCell));
          for (const [n, cell] of cells.entries()) {
            const from = n * picture.pagesPerCell;
            const members = pages.slice(from, Math.min(from + picture.pagesPerCell, used));
            const share = (count: number): number =>
              count === 0 ? 0 : Math.max(Math.floor((255 * count) / members.length), 1);
            const dirty = members.filter((page) => page.sent && page.dirty).length;
            const zero = members.filter((page) => page.sent && !page.dirty && page.zero).length;
            const sent = members.filter((page) => page.sent && !page.dirty && !page.zero).length;
            expect(cell).toEqual([share(sent), share(zero), share(dirty)]);
          }
        },
      ),
    );
  });
});
