import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DirtyBitmap } from "./dirty-bitmap.ts";

const PAGES = 200;

interface Pair {
  readonly bitmap: DirtyBitmap;
  /** The same, done naively. */
  readonly model: Set<number>;
}

type Step = (pair: Pair) => void;

const page = fc.nat(PAGES - 1);
const range = fc
  .tuple(fc.nat(PAGES), fc.nat(PAGES))
  .map(([a, b]) => [Math.min(a, b), Math.abs(a - b)] as const);

const set = page.map<Step>((at) => ({ bitmap, model }) => {
  expect(bitmap.set(at)).toBe(!model.has(at));
  model.add(at);
});

const clear = page.map<Step>((at) => ({ bitmap, model }) => {
  expect(bitmap.clear(at)).toBe(model.delete(at));
});

const setRange = range.map<Step>(([from, count]) => ({ bitmap, model }) => {
  const before = model.size;
  for (let at = from; at < from + count; at++) model.add(at);
  expect(bitmap.setRange(from, count)).toBe(model.size - before);
});

const setWord = fc.tuple(fc.nat(5), fc.integer({ min: 0, max: 0xffff_ffff })).map<Step>(([word, bits]) => {
  return ({ bitmap, model }) => {
    const before = model.size;
    for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) % 2 === 1) model.add(32 * word + bit);
    expect(bitmap.setWord(word, bits)).toBe(model.size - before);
  };
});

const nextSet = page.map<Step>((from) => ({ bitmap, model }) => {
  expect(bitmap.nextSet(from)).toBe(naiveNext(model, from));
});

const takeRun = fc.tuple(page, fc.integer({ min: 1, max: PAGES })).map<Step>(([from, max]) => {
  return ({ bitmap, model }) => {
    const start = naiveNext(model, from);
    let length = 0;
    while (length < max && model.delete(start + length)) length++;
    expect(bitmap.takeRun(from, max)).toBe(length);
    if (length > 0) expect(bitmap.runStart).toBe(start);
  };
});

function naiveNext(model: Set<number>, from: number): number {
  for (let at = from; at < PAGES; at++) if (model.has(at)) return at;
  return -1;
}

function contents(bitmap: DirtyBitmap): number[] {
  return Array.from({ length: bitmap.pages }, (_, at) => at).filter((at) => bitmap.test(at));
}

describe("a dirty bitmap", () => {
  it("does what a set of page numbers does", () => {
    const step = fc.oneof(set, clear, setRange, setWord, nextSet, takeRun);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const pair = { bitmap: new DirtyBitmap(PAGES), model: new Set<number>() };
        for (const run of steps) {
          run(pair);
          expect(pair.bitmap.count).toBe(pair.model.size);
        }
        expect(contents(pair.bitmap)).toEqual([...pair.model].sort((a, b) => a - b));
      }),
      { numRuns: 500 },
    );
  });

  it("sets every bit and none beyond, for every length of the last word", () => {
    for (let pages = 0; pages <= 70; pages++) {
      const bitmap = new DirtyBitmap(pages);
      expect(bitmap.setAll()).toBe(pages);
      expect(bitmap.count).toBe(pages);
      expect(bitmap.takeRun(0, 1000)).toBe(pages);
      expect(bitmap.nextSet(0)).toBe(-1);
      expect(bitmap.count).toBe(0);
    }
  });

  it("takes a run that ends with a word and one that crosses into the next", () => {
    const bitmap = new DirtyBitmap(128);
    bitmap.setRange(30, 2);
    bitmap.setRange(62, 5);
    expect([bitmap.takeRun(0, 64), bitmap.runStart]).toEqual([2, 30]);
    expect([bitmap.takeRun(0, 3), bitmap.runStart]).toEqual([3, 62]);
    expect([bitmap.takeRun(0, 64), bitmap.runStart]).toEqual([2, 65]);
    expect(bitmap.takeRun(0, 64)).toBe(0);
  });

  it("finds a far bit behind many clear words", () => {
    const bitmap = new DirtyBitmap(1_000_000);
    bitmap.set(999_999);
    expect(bitmap.nextSet(0)).toBe(999_999);
    expect(bitmap.nextSet(1_000_000)).toBe(-1);
  });

  it("opens over bits that are there already", () => {
    const buffer = new SharedArrayBuffer(DirtyBitmap.bytesFor(100));
    const first = new DirtyBitmap(100, buffer);
    first.setRange(7, 80);
    const second = new DirtyBitmap(100, buffer);
    expect(second.count).toBe(80);
    expect(contents(second)).toEqual(contents(first));
  });

  it("refuses pages that it does not have", () => {
    const bitmap = new DirtyBitmap(40);
    for (const wrong of [
      () => bitmap.set(40),
      () => bitmap.set(-1),
      () => bitmap.clear(40),
      () => bitmap.test(63),
      () => bitmap.setRange(39, 2),
      () => bitmap.setAll(41),
      () => bitmap.setWord(1, 0x100),
      () => bitmap.setWord(2, 1),
    ]) {
      expect(wrong).toThrow(expect.objectContaining({ code: "INTERNAL" }));
    }
    expect(bitmap.count).toBe(0);
  });
});
