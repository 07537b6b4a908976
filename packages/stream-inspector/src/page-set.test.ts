import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PageSet } from "./page-set.ts";

const PAGES = 100_000;
const page = fc.oneof(fc.nat(PAGES - 1), fc.nat(40), fc.integer({ min: 32_740, max: 32_800 }));

test("it is a set of numbers", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom("add", "delete"), page, fc.nat(50_000)), { maxLength: 60 }),
      (steps) => {
        const pages = new PageSet();
        const expected = new Set<number>();
        for (const [step, from, count] of steps) {
          if (step === "add") {
            expect(pages.add(from)).toBe(!expected.has(from));
            expected.add(from);
          } else {
            const removed = [...expected].filter((one) => one >= from && one < from + count);
            expect(pages.deleteRange(from, from + count)).toBe(removed.length);
            for (const one of removed) expected.delete(one);
          }
        }
        const sorted = [...expected].sort((a, b) => a - b);
        expect([...pages.pages()]).toEqual(sorted);
        expect(pages.size).toBe(expected.size);
        expect(pages.last()).toBe(sorted.at(-1) ?? -1);
        expect(sorted.every((one) => pages.has(one))).toBe(true);
        const absent = sorted.findIndex((one, index) => one !== index);
        expect(pages.firstAbsent(PAGES)).toBe(absent < 0 ? sorted.length : absent);
      },
    ),
  );
});

test("a full set has no absent page, at the edges of its pieces", () => {
  for (const count of [1, 31, 32, 33, 32_767, 32_768, 32_769]) {
    const pages = new PageSet();
    for (let one = 0; one < count; one++) pages.add(one);
    expect(pages.firstAbsent(count)).toBe(-1);
    expect(pages.firstAbsent(count + 1)).toBe(count);
  }
});

test("the last page of the largest block that is allowed", () => {
  const pages = new PageSet();
  const last = 2 ** 32 - 1;
  expect(pages.add(last)).toBe(true);
  expect(pages.has(last)).toBe(true);
  expect(pages.last()).toBe(last);
});

test("all pages of another set are added", () => {
  const [a, b] = [new PageSet(), new PageSet()];
  for (const one of [1, 40_000]) a.add(one);
  for (const one of [1, 2, 70_000]) b.add(one);
  a.addAll(b);
  expect([...a.pages()]).toEqual([1, 2, 40_000, 70_000]);
});
