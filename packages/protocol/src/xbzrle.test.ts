import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import golden from "../test/golden/xbzrle.json" with { type: "json" };
import { fromHex, refusal, toHex } from "../test/support.ts";
import { applyDelta, checkDelta, DELTA_OVERFLOW, DELTA_UNCHANGED, DeltaPage, encodeDelta } from "./index.ts";

const PAGE = 4096;

function delta(old: Uint8Array, page: Uint8Array, room = page.length): Uint8Array | "unchanged" | "overflow" {
  const target = new Uint8Array(room);
  const length = encodeDelta(new DeltaPage(old), new DeltaPage(page), target);
  if (length === DELTA_UNCHANGED) return "unchanged";
  return length === DELTA_OVERFLOW ? "overflow" : target.subarray(0, length);
}

function uleb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, value >> 7];
}

/** The runs of two pages, found without regard to speed. */
function naiveRuns(old: Uint8Array, page: Uint8Array): { unchanged: number; changed: number[] }[] {
  const runs: { unchanged: number; changed: number[] }[] = [];
  let run = { unchanged: 0, changed: [] as number[] };
  for (const [index, byte] of page.entries()) {
    if (byte !== old[index]) {
      run.changed.push(byte);
    } else if (run.changed.length === 0) {
      run.unchanged++;
    } else {
      runs.push(run);
      run = { unchanged: 1, changed: [] };
    }
  }
  return run.changed.length > 0 ? [...runs, run] : runs;
}

function naiveEncode(old: Uint8Array, page: Uint8Array, room: number): Uint8Array | "unchanged" | "overflow" {
  const runs = naiveRuns(old, page);
  if (runs.length === 0) return "unchanged";
  const bytes: number[] = [];
  for (const { unchanged, changed } of runs) {
    if (bytes.length + 2 > room) return "overflow";
    bytes.push(...uleb(unchanged));
    if (bytes.length + 2 > room) return "overflow";
    bytes.push(...uleb(changed.length), ...changed);
    if (bytes.length > room) return "overflow";
  }
  // The part behind the last run is looked at like a run of its own, if there is one.
  const last = page.length - 1;
  if (page[last] === old[last] && bytes.length + 2 > room) return "overflow";
  return Uint8Array.from(bytes);
}

/** Two pages: mostly few changes, sometimes unrelated ones. */
const pages = fc.integer({ min: 1, max: PAGE }).chain((size) =>
  fc
    .record({
      seed: fc.nat(255),
      changes: fc.array(
        fc.record({
          at: fc.nat(size - 1),
          length: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: size })),
          by: fc.integer({ min: 1, max: 255 }),
          step: fc.integer({ min: 1, max: 3 }),
        }),
        { maxLength: 12 },
      ),
    })
    .map(({ seed, changes }) => {
      const old = Uint8Array.from({ length: size }, (_, index) => seed + index * 31);
      const page = old.slice();
      for (const { at, length, by, step } of changes) {
        for (let index = at; index < Math.min(size, at + length); index += step) {
          page[index] = (page[index] ?? 0) + by;
        }
      }
      return { old, page };
    }),
);

describe("encoder", () => {
  test("the documented example: 15, 1 and 1 changed bytes behind 1001 zeros", () => {
    const old = new Uint8Array(PAGE);
    const page = new Uint8Array(PAGE);
    const at = golden.documented.unchanged;
    old.set(fromHex("05060708090a0b0c0d0e0f101112136800006b006d"), at);
    page.set(fromHex("0102030405060708090a0b0c0d0e0f680000670069"), at);
    const encoded = fromHex(golden.documented.delta);
    expect(encoded).toHaveLength(24);
    expect(delta(old, page)).toEqual(encoded);
    const rebuilt = old.slice();
    expect(applyDelta(encoded, rebuilt)).toBe(true);
    expect(rebuilt).toEqual(page);
  });

  test("writes what the plain encoder writes, for any room, and its delta rebuilds the page", () => {
    fc.assert(
      fc.property(pages, fc.option(fc.nat(64)), ({ old, page }, less) => {
        const full = naiveEncode(old, page, page.length);
        const size = typeof full === "string" ? page.length : full.length;
        const room = less === null ? page.length : Math.max(0, size + 2 - less);
        const encoded = delta(old, page, room);
        expect(encoded).toEqual(naiveEncode(old, page, room));
        if (typeof encoded === "string") return;
        const rebuilt = old.slice();
        expect(applyDelta(encoded, rebuilt)).toBe(true);
        expect(rebuilt).toEqual(page);
      }),
      { numRuns: 1000 },
    );
  });

  test("writes the same wherever the two pages lie in memory", () => {
    fc.assert(
      fc.property(pages, fc.nat(7), fc.nat(7), ({ old, page }, oldAt, pageAt) => {
        const placed = (bytes: Uint8Array, at: number): Uint8Array => {
          const room = new Uint8Array(bytes.length + at);
          room.set(bytes, at);
          return room.subarray(at);
        };
        expect(delta(placed(old, oldAt), placed(page, pageAt))).toEqual(delta(old, page));
      }),
    );
  });

  test("a page that is as it was", () => {
    const page = new Uint8Array(PAGE).fill(7);
    expect(delta(page, page.slice())).toBe("unchanged");
    expect(delta(page, page.slice(), 0)).toBe("unchanged");
  });

  test("a page that is new from end to end does not fit in a page", () => {
    expect(delta(new Uint8Array(PAGE), new Uint8Array(PAGE).fill(1))).toBe("overflow");
  });

  test("every second byte changed: three bytes for each, which do not fit", () => {
    const page = Uint8Array.from({ length: PAGE }, (_, index) => index % 2);
    expect(delta(new Uint8Array(PAGE), page)).toBe("overflow");
  });

  test("the largest delta that fits takes the whole page, and one byte more is an overflow", () => {
    // 2 + 2 + 4092 bytes: the head of one run that begins at 3 and ends with the page.
    const fits = new Uint8Array(PAGE).fill(1, 3);
    expect(delta(new Uint8Array(PAGE), fits)).toHaveLength(PAGE);
    const more = new Uint8Array(PAGE).fill(1, 2);
    expect(delta(new Uint8Array(PAGE), more)).toBe("overflow");
  });

  test("an unchanged end counts as an overflow when less than the head of a run is left", () => {
    const page = new Uint8Array(PAGE).fill(1, 3, PAGE - 1);
    expect(delta(new Uint8Array(PAGE), page)).toBe("overflow");
    const shorter = new Uint8Array(PAGE).fill(1, 3, PAGE - 2);
    expect(delta(new Uint8Array(PAGE), shorter)).toHaveLength(PAGE - 2);
  });

  test("pages of different or impossible sizes are a mistake of the caller", () => {
    const target = new Uint8Array(PAGE);
    const pageOf = (size: number): DeltaPage => new DeltaPage(new Uint8Array(size));
    expect(refusal(() => encodeDelta(pageOf(1), pageOf(2), target)).code).toBe("INTERNAL");
    const large = pageOf(0x4000);
    expect(refusal(() => encodeDelta(large, large, target)).code).toBe("INTERNAL");
  });
});

describe("decoder", () => {
  test.each([
    ["an empty delta", ""],
    ["one byte", "01"],
    ["no changed part", "0500"],
    ["an unchanged part alone", "8501"],
    ["a length of three bytes", "80800101aa"],
    ["a changed length of three bytes", "0180800101"],
    ["a second run that begins at once", "0001aa0001bb"],
    ["a changed part of no bytes", "010000"],
    ["fewer new bytes than announced", "0003aabb"],
    ["an unchanged part beyond the page", "812001aa"],
    ["a changed part beyond the page", "ff1f02aabb"],
    ["a head of one byte at the end", "0001aa01"],
  ])("%s is refused", (_name, hex) => {
    const bytes = fromHex(hex);
    const page = new Uint8Array(PAGE);
    expect(applyDelta(bytes, page)).toBe(false);
    expect(checkDelta(bytes, PAGE)).toBe(false);
  });

  test.each([
    ["the first byte of a page", "0001aa", 0],
    ["the last byte of a page", "ff1f01aa", PAGE - 1],
    ["a length written with more bytes than it needs", "850001aa", 5],
  ])("%s", (_name, hex, at) => {
    const page = new Uint8Array(PAGE);
    const expected = page.slice();
    expected[at] = 0xaa;
    expect(applyDelta(fromHex(hex), page)).toBe(true);
    expect(page).toEqual(expected);
  });

  test("any input either is refused or changes the page as the plain decoder does", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 300 }), (bytes, size) => {
        const page = new Uint8Array(size + 8).fill(0x55);
        const expected = naiveApply(bytes, new Uint8Array(size).fill(0x55));
        const inner = page.subarray(0, size);
        expect(checkDelta(bytes, size)).toBe(expected !== undefined);
        expect(applyDelta(bytes, inner)).toBe(expected !== undefined);
        if (expected !== undefined) expect(toHex(inner)).toBe(toHex(expected));
        expect(toHex(page.subarray(size))).toBe("55".repeat(8));
      }),
      { numRuns: 3000 },
    );
  });
});

/** The rules one after the other, on a list that is eaten from the front. Undefined: refused. */
function naiveApply(bytes: Uint8Array, page: Uint8Array): Uint8Array | undefined {
  const left = [...bytes];
  const length = (): number | undefined => {
    if (left.length < 2) return undefined;
    const low = left.shift() ?? 0;
    if (low < 128) return low;
    const high = left.shift() ?? 0;
    return high < 128 ? low - 128 + high * 128 : undefined;
  };
  let at = 0;
  let runs = 0;
  do {
    const unchanged = length();
    if (unchanged === undefined || (unchanged === 0 && runs > 0)) return undefined;
    const changed = length();
    if (changed === undefined || changed === 0 || changed > left.length) return undefined;
    at += unchanged;
    if (at + changed > page.length) return undefined;
    page.set(left.splice(0, changed), at);
    at += changed;
    runs++;
  } while (left.length > 0);
  return page;
}
