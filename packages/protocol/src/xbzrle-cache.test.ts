import * as fc from "fast-check";
import { expect, test } from "vitest";
import { refusal } from "../test/support.ts";
import { XbzrleCache } from "./index.ts";

const PAGE = 4096;
const page = (value: number) => new Uint8Array(PAGE).fill(value);

function found(cache: XbzrleCache, number: number, generation: number): Uint8Array | undefined {
  return cache.find(number * PAGE, generation)?.bytes;
}

test("a page is found again, and a copy of it was kept", () => {
  const cache = new XbzrleCache(4 * PAGE);
  const bytes = page(1);
  expect(cache.find(5 * PAGE, 1)).toBeUndefined();
  expect(cache.insert(5 * PAGE, bytes, 1)).toBe(true);
  bytes.fill(2);
  expect(found(cache, 5, 1)).toEqual(page(1));
  expect(cache.find(PAGE, 1)).toBeUndefined();
});

test("another page gets the slot only two generations after the last use", () => {
  const cache = new XbzrleCache(4 * PAGE);
  cache.insert(PAGE, page(1), 1);
  expect(cache.insert(5 * PAGE, page(5), 2)).toBe(false);
  expect(found(cache, 1, 2)).toEqual(page(1));
  expect(cache.insert(5 * PAGE, page(5), 3)).toBe(false);
  expect(cache.insert(5 * PAGE, page(5), 4)).toBe(true);
  expect(cache.find(PAGE, 4)).toBeUndefined();
  expect(found(cache, 5, 4)).toEqual(page(5));
});

test("the same page is replaced at any time, and what a delta was sent for is written in place", () => {
  const cache = new XbzrleCache(PAGE);
  cache.insert(0, page(1), 1);
  expect(cache.insert(0, page(2), 1)).toBe(true);
  cache.find(0, 1)?.bytes.set(page(3));
  expect(found(cache, 0, 1)).toEqual(page(3));
});

test("addresses beyond 32 bits do not meet", () => {
  const cache = new XbzrleCache(4 * PAGE);
  cache.insert(2 ** 44, page(1), 1);
  expect(cache.find(0, 1)).toBeUndefined();
  expect(found(cache, 2 ** 32, 1)).toEqual(page(1));
});

test("it does what a list of slots does", () => {
  const step = fc.record({ page: fc.nat(11), advance: fc.boolean(), insert: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const cache = new XbzrleCache(4 * PAGE);
      const slots = new Map<number, { page: number; value: number; used: number }>();
      let generation = 1;
      for (const [value, one] of steps.entries()) {
        if (one.advance) generation++;
        const held = slots.get(one.page % 4);
        if (one.insert) {
          const free = held === undefined || held.page === one.page || generation - held.used >= 2;
          if (free) slots.set(one.page % 4, { page: one.page, value, used: generation });
          expect(cache.insert(one.page * PAGE, page(value), generation)).toBe(free);
        } else {
          const hit = held?.page === one.page ? held : undefined;
          if (hit !== undefined) hit.used = generation;
          expect(found(cache, one.page, generation)?.[PAGE - 1]).toBe(hit?.value);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("a cache of another size has the pages of the old one, of two in a slot the one used later", () => {
  const cache = new XbzrleCache(8 * PAGE);
  for (const [number, generation] of [
    [1, 5],
    [5, 6],
    [2, 8],
    [6, 7],
    [3, 1],
  ] as const) {
    cache.insert(number * PAGE, page(number), generation);
  }
  const small = cache.resized(4 * PAGE);
  const numbers = [1, 2, 3, 5, 6];
  expect(numbers.filter((number) => small.find(number * PAGE, 8) !== undefined)).toEqual([2, 3, 5]);
  for (const number of [2, 3, 5]) expect(found(small, number, 8)).toEqual(page(number));
  // Ages are kept: it was used in generation 8, by the search above.
  expect(small.insert(9 * PAGE, page(9), 9)).toBe(false);
  expect(small.insert(9 * PAGE, page(9), 10)).toBe(true);

  const large = small.resized(16 * PAGE);
  for (const number of [2, 3, 9]) expect(found(large, number, 10)).toEqual(page(number));
  expect(large.insert(PAGE, page(1), 10)).toBe(true);
  expect(refusal(() => large.resized(3 * PAGE)).code).toBe("BAD_PARAMETER");
});

test("sizes and addresses that make no sense", () => {
  for (const bytes of [0, -PAGE, 2048, 3 * PAGE, PAGE + 1, Number.NaN, 2 ** 60]) {
    expect(refusal(() => new XbzrleCache(bytes)).code).toBe("BAD_PARAMETER");
  }
  const cache = new XbzrleCache(PAGE);
  expect(refusal(() => cache.find(1, 1)).code).toBe("INTERNAL");
  expect(refusal(() => cache.insert(-PAGE, page(0), 1)).code).toBe("INTERNAL");
});
