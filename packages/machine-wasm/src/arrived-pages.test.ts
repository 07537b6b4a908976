import { PAGE_SIZE } from "@peregrine/shared-state";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ArrivedPages } from "./arrived-pages.ts";

const PAGES = 200;

test("has the pages that were added, and no others, in every thread's view", () => {
  const runs = fc.array(fc.tuple(fc.integer({ min: 0, max: PAGES - 1 }), fc.integer({ min: 0, max: 70 })), {
    maxLength: 10,
  });
  fc.assert(
    fc.property(runs, (added) => {
      const buffer = ArrivedPages.allocate(PAGES * PAGE_SIZE);
      const views = [new ArrivedPages(buffer), new ArrivedPages(buffer)] as const;
      const expected = new Set<number>();
      for (const [n, [page, length]] of added.entries()) {
        const count = Math.min(length, PAGES - page);
        views[n % 2 === 0 ? 0 : 1].add(page, count);
        for (let one = page; one < page + count; one++) expected.add(one);
      }
      for (let page = 0; page < PAGES; page++) {
        const end = Math.min(page + 40, PAGES);
        let next = page;
        while (next < end && !expected.has(next)) next++;
        for (const view of views) expect(view.next(page, end)).toBe(next);
      }
    }),
  );
});
