import * as fc from "fast-check";
import { expect, test } from "vitest";
import { DirtyBitmap } from "./dirty-bitmap.ts";
import { PageBits } from "./page-bits.ts";

const PAGES = 300;

test("sets and clears the same bits as a bitmap that counts them, and no others", () => {
  const range = fc
    .tuple(fc.nat(PAGES), fc.nat(PAGES), fc.boolean())
    .map(([a, b, isSet]) => ({ from: Math.min(a, b), count: Math.abs(a - b), isSet }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 20 }), (ranges) => {
      const buffer = new SharedArrayBuffer(DirtyBitmap.bytesFor(PAGES));
      const bits = new PageBits(buffer);
      const bitmap = new DirtyBitmap(PAGES);
      for (const { from, count, isSet } of ranges) {
        if (isSet) bits.set(from, count);
        else bits.clear(from, count);
        for (let page = from; page < from + count; page++) {
          if (isSet) bitmap.set(page);
          else bitmap.clear(page);
        }
      }
      const opened = new DirtyBitmap(PAGES, buffer);
      for (let page = 0; page < PAGES; page++) expect(opened.test(page)).toBe(bitmap.test(page));
      expect(opened.count).toBe(bitmap.count);
    }),
  );
});
