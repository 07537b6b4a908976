import { describe, expect, test } from "vitest";
import { recordsIn } from "./page-counts.ts";
import { SweepCounter, SyncCounter } from "./pass-counter.ts";
import type { PassCounter } from "./pass-counter.ts";

type Place = readonly [block: number, page: number];

function add(counter: PassCounter, places: readonly Place[]): void {
  for (const [block, page] of places) counter.add(block, page, "plain", false, 10);
}

function told(counter: PassCounter): unknown[] {
  return counter.passes.map(({ phase, passes, counts }) => [phase, passes, recordsIn(counts), counts.bytes]);
}

describe("on one channel", () => {
  test("a pass ends where the sweep begins anew", () => {
    const counter = new SweepCounter();
    add(counter, [
      [0, 0],
      [0, 1],
      [0, 7],
      [1, 0],
      // The same page again.
      [1, 0],
      // An earlier page, an earlier block.
      [0, 9],
      [0, 2],
      [1, 5],
    ]);
    expect(told(counter)).toEqual([
      ["precopy", 1, 4, 40],
      ["precopy", 1, 1, 10],
      ["precopy", 1, 1, 10],
      ["precopy", 1, 2, 20],
    ]);
  });

  test("postcopy is one phase, in whatever order its pages come", () => {
    const counter = new SweepCounter();
    add(counter, [[0, 5]]);
    counter.startPostcopy();
    add(counter, [
      [0, 9],
      [0, 3],
      [0, 3],
    ]);
    expect(told(counter)).toEqual([
      ["precopy", 1, 1, 10],
      ["postcopy", 1, 3, 30],
    ]);
  });

  test("passes beyond the most that are listed are counted in the last one", () => {
    const counter = new SweepCounter();
    for (let pass = 0; pass < 1500; pass++) add(counter, [[0, 4]]);
    expect(counter.passes).toHaveLength(1000);
    expect(told(counter).at(-1)).toEqual(["precopy", 501, 501, 5010]);
    counter.startPostcopy();
    add(counter, [[0, 4]]);
    expect(told(counter).at(-1)).toEqual(["postcopy", 1, 1, 10]);
  });
});

describe("on several channels", () => {
  test("a pass ends at the sync in front of a page that came in it before", () => {
    const counter = new SyncCounter();
    add(counter, [
      [0, 9],
      [0, 1],
    ]);
    counter.sync();
    add(counter, [[0, 5]]);
    counter.sync();
    add(counter, [
      [0, 7],
      [0, 9],
    ]);
    counter.sync();
    counter.sync();
    add(counter, [[0, 1]]);
    counter.sync();
    add(counter, [[0, 7]]);
    counter.sync();
    expect(told(counter)).toEqual([
      ["precopy", 1, 3, 30],
      ["precopy", 1, 3, 30],
      ["precopy", 1, 1, 10],
    ]);
  });

  test("what has come since the last sync is counted at the next one", () => {
    const counter = new SyncCounter();
    add(counter, [[0, 9]]);
    expect(told(counter)).toEqual([]);
    counter.startPostcopy();
    add(counter, [
      [0, 9],
      [0, 9],
    ]);
    counter.sync();
    expect(told(counter)).toEqual([
      ["precopy", 1, 1, 10],
      ["postcopy", 1, 2, 20],
    ]);
  });
});
