import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { refusal } from "../test/support.ts";
import { KERNELS } from "../test/kernels.ts";
import { DELTA_OVERFLOW, NOT_KEPT, XbzrleCache } from "./index.ts";

const PAGE = 4096;
const page = (value: number) => new Uint8Array(PAGE).fill(value);

describe.each(KERNELS)("kept by the kernels in %s", (_name, openKernel) => {
  const kernel = openKernel(2 * PAGE);
  const place = kernel.take(PAGE);
  const open = (bytes: number) => new XbzrleCache(kernel, bytes);

  function insert(cache: XbzrleCache, number: number, bytes: Uint8Array, generation: number): boolean {
    kernel.bytes.set(bytes, place);
    return cache.insert(number * PAGE, place, generation);
  }

  function found(cache: XbzrleCache, number: number, generation: number): Uint8Array | undefined {
    const slot = cache.find(number * PAGE, generation);
    return slot === NOT_KEPT ? undefined : cache.pages.bytes(slot);
  }

  test("a page is found again, and a copy of it was kept", () => {
    const cache = open(4 * PAGE);
    const bytes = page(1);
    expect(found(cache, 5, 1)).toBeUndefined();
    expect(insert(cache, 5, bytes, 1)).toBe(true);
    bytes.fill(2);
    expect(found(cache, 5, 1)).toEqual(page(1));
    expect(found(cache, 1, 1)).toBeUndefined();
  });

  test("another page gets the slot only two generations after the last use", () => {
    const cache = open(4 * PAGE);
    insert(cache, 1, page(1), 1);
    expect(insert(cache, 5, page(5), 2)).toBe(false);
    expect(found(cache, 1, 2)).toEqual(page(1));
    expect(insert(cache, 5, page(5), 3)).toBe(false);
    expect(insert(cache, 5, page(5), 4)).toBe(true);
    expect(found(cache, 1, 4)).toBeUndefined();
    expect(found(cache, 5, 4)).toEqual(page(5));
  });

  test("the same page is replaced at any time, and what a delta was sent for is written in place", () => {
    const cache = open(PAGE);
    insert(cache, 0, page(1), 1);
    expect(insert(cache, 0, page(2), 1)).toBe(true);
    kernel.bytes.set(page(3), place);
    expect(cache.pages.encodeDelta(cache.find(0, 1), place, place, 0, true)).toBe(DELTA_OVERFLOW);
    expect(found(cache, 0, 1)).toEqual(page(3));
  });

  test("addresses beyond 32 bits do not meet", () => {
    const cache = open(4 * PAGE);
    insert(cache, 2 ** 32, page(1), 1);
    expect(found(cache, 0, 1)).toBeUndefined();
    expect(found(cache, 2 ** 32, 1)).toEqual(page(1));
  });

  test("it does what a list of slots does", () => {
    const step = fc.record({ page: fc.nat(11), advance: fc.boolean(), insert: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const cache = open(4 * PAGE);
        const slots = new Map<number, { page: number; value: number; used: number }>();
        let generation = 1;
        for (const [value, one] of steps.entries()) {
          if (one.advance) generation++;
          const held = slots.get(one.page % 4);
          if (one.insert) {
            const free = held === undefined || held.page === one.page || generation - held.used >= 2;
            if (free) slots.set(one.page % 4, { page: one.page, value, used: generation });
            expect(insert(cache, one.page, page(value), generation)).toBe(free);
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
    const cache = open(8 * PAGE);
    for (const [number, generation] of [
      [1, 5],
      [5, 6],
      [2, 8],
      [6, 7],
      [3, 1],
    ] as const) {
      insert(cache, number, page(number), generation);
    }
    const small = cache.resized(4 * PAGE);
    const numbers = [1, 2, 3, 5, 6];
    expect(numbers.filter((number) => found(small, number, 8) !== undefined)).toEqual([2, 3, 5]);
    for (const number of [2, 3, 5]) expect(found(small, number, 8)).toEqual(page(number));
    // Ages are kept: it was used in generation 8, by the search above.
    expect(insert(small, 9, page(9), 9)).toBe(false);
    expect(insert(small, 9, page(9), 10)).toBe(true);

    const large = small.resized(16 * PAGE);
    for (const number of [2, 3, 9]) expect(found(large, number, 10)).toEqual(page(number));
    expect(insert(large, 1, page(1), 10)).toBe(true);
    expect(refusal(() => large.resized(3 * PAGE)).code).toBe("BAD_PARAMETER");
  });

  test("sizes and addresses that make no sense", () => {
    for (const bytes of [0, -PAGE, 2048, 3 * PAGE, PAGE + 1, Number.NaN, 2 ** 60]) {
      expect(refusal(() => open(bytes)).code).toBe("BAD_PARAMETER");
    }
    const cache = open(PAGE);
    expect(refusal(() => cache.find(1, 1)).code).toBe("INTERNAL");
    expect(refusal(() => cache.insert(-PAGE, place, 1)).code).toBe("INTERNAL");
  });
});
