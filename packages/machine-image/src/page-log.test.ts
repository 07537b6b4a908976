import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { DirtyBitmap } from "@peregrine/shared-state";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MarkingTask } from "../test/marking-thread.ts";
import { Backlog } from "./backlog.ts";
import { PageLog } from "./page-log.ts";

interface Bench {
  readonly log: PageLog;
  readonly backlog: Backlog;
  readonly buffers: { readonly log: SharedArrayBuffer; readonly backlog: SharedArrayBuffer };
}

function bench(pages: number): Bench {
  const buffers = { log: new SharedArrayBuffer(PageLog.bytesFor(pages)), backlog: Backlog.newBuffer() };
  const backlog = new Backlog(buffers.backlog);
  return { log: new PageLog(pages, buffers.log, backlog), backlog, buffers };
}

const pagesOf = (bitmap: DirtyBitmap): number[] =>
  Array.from({ length: bitmap.pages }, (_, page) => page).filter((page) => bitmap.test(page));

describe("the log of a block's pages", () => {
  it("marks runs over word boundaries, and single pages at either end", () => {
    const { log } = bench(100);
    log.mark(0, 1);
    log.mark(30, 40);
    log.mark(99, 1);
    const into = new DirtyBitmap(100);
    expect(log.harvest(into)).toBe(42);
    expect(pagesOf(into)).toEqual([0, ...Array.from({ length: 40 }, (_, n) => 30 + n), 99]);
    expect(log.pagesWithContents).toBe(42);
    expect([29, 30, 31, 32, 69, 70, 98, 99].filter((page) => log.hasContents(page))).toEqual([
      30, 31, 32, 69, 99,
    ]);
  });

  it("marks nothing for an empty run, and has no words for a block without pages", () => {
    const { log, backlog } = bench(32);
    log.mark(32, 0);
    expect([log.pagesWithContents, backlog.pages]).toEqual([0, 0]);
    const none = bench(0);
    none.log.markContents();
    expect(none.log.harvest(new DirtyBitmap(0))).toBe(0);
  });

  it("harvests each page that was marked, and counts exactly what is not sent yet", () => {
    const pages = 70;
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("mark" as const),
        page: fc.nat(pages - 1),
        count: fc.integer({ min: 1, max: pages }),
      }),
      fc.record({ kind: fc.constant("send" as const), count: fc.integer({ min: 1, max: pages }) }),
      fc.record({ kind: fc.constantFrom("harvest" as const, "restart" as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { log, backlog } = bench(pages);
        const contents = new Set<number>();
        let logged = new Set<number>();
        const unsent = new Set<number>();
        let dirty = new DirtyBitmap(pages);
        const harvest = (): void => {
          const before = unsent.size;
          for (const page of logged) unsent.add(page);
          logged.clear();
          expect(log.harvest(dirty)).toBe(unsent.size - before);
        };
        for (const action of steps) {
          switch (action.kind) {
            case "mark": {
              const count = Math.min(action.count, pages - action.page);
              log.mark(action.page, count);
              for (let page = action.page; page < action.page + count; page++) {
                contents.add(page);
                logged.add(page);
              }
              break;
            }
            case "harvest":
              harvest();
              break;
            case "send": {
              const sent = dirty.takeRun(0, action.count);
              for (let n = 0; n < sent; n++) unsent.delete(dirty.runStart + n);
              backlog.sent(sent);
              break;
            }
            case "restart":
              dirty = new DirtyBitmap(pages);
              backlog.forgetHarvested();
              log.markContents();
              unsent.clear();
              logged = new Set(contents);
              break;
          }
          expect(backlog.pages).toBe(logged.size + unsent.size);
          expect(log.pagesWithContents).toBe(contents.size);
        }
        harvest();
        expect(pagesOf(dirty)).toEqual([...unsent].sort((a, b) => a - b));
        backlog.sent(dirty.count);
        expect(backlog.pages).toBe(0);
      }),
    );
  });

  it("loses no mark of another thread, and never counts less than there is", async () => {
    const pages = 80;
    const { log, backlog, buffers } = bench(pages);
    const done = new Int32Array(new SharedArrayBuffer(4));
    const workerData: MarkingTask = { pages, ...buffers, marks: 500_000, done };
    const worker = new Worker(new URL("../test/marking-thread.ts", import.meta.url), { workerData });
    const ended = once(worker, "exit");
    await once(worker, "online");
    const seen = new DirtyBitmap(pages);
    let least = 0;
    const take = (): void => {
      const dirty = new DirtyBitmap(pages);
      const fresh = log.harvest(dirty);
      backlog.sent(fresh);
      least = Math.min(least, backlog.pages);
      for (let page = dirty.nextSet(0); page >= 0; page = dirty.nextSet(page + 1)) seen.set(page);
    };
    while (Atomics.load(done, 0) === 0) take();
    await ended;
    take();
    // A mark that is lost was counted and is never taken.
    expect(backlog.pages).toBe(0);
    expect(least).toBe(0);
    expect(seen.count).toBe(pages);
  });
});
