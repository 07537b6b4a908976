import { PAGE_SIZE, pictureOf } from "@peregrine/shared-state";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { expectSameMemory, ramFixture } from "./testing/ram-fixture.ts";

describe("the RAM sender", () => {
  test.each([
    ["in place", {}],
    ["and copied first", { copied: true }],
  ])("sends every page in use once, zero pages as such, read %s", async (_, options) => {
    const { sender, statistics, ram, passes, received } = await ramFixture(options);
    await sender.start();
    expect(sender.remaining).toBe(190 * PAGE_SIZE);
    expect(await sender.iterate()).toBe(true);
    await sender.complete();
    const everything = await received();
    expectSameMemory(everything, ram);
    const { pages, zeroPages, kinds } = everything;
    // Every fourth page of the test guest is zero.
    expect({ pages, zeroPages }).toEqual({ pages: 143, zeroPages: 47 });
    expect(statistics).toMatchObject({ normal: 143, duplicate: 47, remaining: 0, total: 190 * PAGE_SIZE });
    expect(kinds).toEqual(["start", "part", "end"]);
    expect(passes).toEqual([1]);
  });

  test.each([
    ["whole pages", {}],
    ["copies of whole pages", { copied: true }],
    ["deltas", { cache: 512 * PAGE_SIZE }],
  ])("marks what it sends in the page map, with %s", async (_, options) => {
    const { sender, ram, map, passLog, clock, statistics } = await ramFixture(options);
    await sender.start();
    const shares = (): number[] => {
      const { cells, blocks } = pictureOf(map.access, 2);
      expect(blocks.map(({ pages }) => pages)).toEqual([150, 40]);
      return [...cells];
    };
    expect(shares()).toEqual([0, 0, 0, 0, 0, 0]);
    await sender.iterate();
    // Every fourth page of the test guest is zero: 37 of 150, and 10 of 40.
    const [sent, zero, dirty] = [1 - 37 / 150, 37 / 150, 1 / 150].map((share) => Math.floor(255 * share));
    expect(shares()).toEqual([sent, zero, 0, 191, 63, 0]);
    ram.store(0, 5 * PAGE_SIZE, 1);
    clock.now = 100;
    sender.pending(0);
    expect(shares()[2]).toBe(dirty);
    await sender.iterate();
    expect(shares()[2]).toBe(0);
    expect(passLog.records()).toMatchObject([
      { pass: 1, total: 190 * PAGE_SIZE, start: 0 },
      { pass: 2, total: PAGE_SIZE, start: 100 },
    ]);
    expect(passLog.records()[1]!.transferredBefore).toBeGreaterThan(0);
    expect(statistics.pass).toBe(2);
  });

  test("whatever the guest writes between the turns, memory is the same at the end", async () => {
    const write = fc.record({
      block: fc.constantFrom(0, 1),
      page: fc.integer({ min: 0, max: 39 }),
      value: fc.constantFrom(0, 1, 255),
    });
    const turn = fc.record({
      writes: fc.array(write, { maxLength: 20 }),
      grow: fc.integer({ min: 0, max: 12 }),
      maxSize: fc.integer({ min: 0, max: 100 * PAGE_SIZE }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(turn, { maxLength: 8 }),
        fc.constantFrom(0, 400_000),
        fc.boolean(),
        async (turns, limit, copied) => {
          const { sender, ram, clock, received } = await ramFixture({ limit, copied });
          await sender.start();
          for (const { writes, grow, maxSize } of turns) {
            for (const { block, page, value } of writes) ram.store(block, page * PAGE_SIZE + 8, value);
            ram.use(0, ram.usedPages(0) + grow);
            clock.now += 30;
            sender.pending(maxSize);
            await sender.iterate();
          }
          await sender.complete();
          expectSameMemory(await received(), ram);
          expect(sender.remaining).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("looks at the dirty log only when little is left", async () => {
    const { sender, ram, statistics } = await ramFixture();
    await sender.start();
    ram.store(0, 0, 1);
    expect(sender.pending(189 * PAGE_SIZE)).toBe(190 * PAGE_SIZE);
    expect(statistics.dirtySyncCount).toBe(1);
    await sender.iterate();
    expect(sender.pending(0)).toBe(PAGE_SIZE);
    expect(statistics).toMatchObject({ dirtySyncCount: 2, pass: 2, passPages: 1 });
  });

  test("tells what was dirtied and what was sent between two computations of the dirty rate", async () => {
    const { sender, ram, clock, statistics, dirtyPeriods } = await ramFixture();
    await sender.start();
    await sender.iterate();
    for (const now of [600, 1200, 1800, 2400]) {
      clock.now = now;
      for (let page = 0; page < 6; page++) ram.store(0, page * PAGE_SIZE, now & 0xff);
      sender.pending(0);
      await sender.iterate();
    }
    // The first period is that of the whole memory; zero pages are sent as well, however little they cost.
    expect(dirtyPeriods).toEqual([
      { dirtiedBytes: 12 * PAGE_SIZE, sentBytes: 196 * PAGE_SIZE },
      { dirtiedBytes: 12 * PAGE_SIZE, sentBytes: 12 * PAGE_SIZE },
    ]);
    expect(statistics.dirtyPagesRate).toBe(10);
  });

  test("stops at the limit and goes on where it stopped", async () => {
    const { sender, clock, received } = await ramFixture({ limit: 1_600_000 });
    await sender.start();
    expect(await sender.iterate()).toBe(false);
    const { pages } = await received();
    // One write: a hundredth of what a second allows.
    expect(pages).toBeGreaterThanOrEqual(3);
    expect(pages).toBeLessThanOrEqual(4);
    clock.now = 10_000;
    await sender.complete();
    const all = await received();
    expect(all.pages + all.zeroPages).toBe(190);
  });

  test("stops after 50 ms", async () => {
    const { sender, clock } = await ramFixture({ copied: true });
    await sender.start();
    const before = sender.remaining;
    // Each look at the clock finds it 30 ms later: one run is over before the second look.
    let time = 0;
    Object.defineProperty(clock, "now", { get: () => (time += 30) });
    expect(await sender.iterate()).toBe(false);
    expect(before - sender.remaining).toBe(64 * PAGE_SIZE);
  });

  test("sends only what is in a log that holds all contents, and tells how much that was", async () => {
    const { sender, ram, statistics, passes, received } = await ramFixture({ logsAllContents: true });
    const sent: number[] = [];
    Object.assign(ram, { sent: (pages: number) => void sent.push(pages) });
    await sender.start();
    expect(sender.remaining).toBe(0);
    expect(passes).toEqual([]);
    ram.store(0, 5 * PAGE_SIZE, 1);
    ram.store(0, 6 * PAGE_SIZE, 1);
    ram.use(0, 200);
    expect(sender.pending(0)).toBe(2 * PAGE_SIZE);
    expect(passes).toEqual([1]);
    await sender.iterate();
    ram.store(1, 7 * PAGE_SIZE, 1);
    await sender.complete();
    const { memory, pages, zeroPages } = await received();
    expect([pages, zeroPages]).toEqual([3, 0]);
    for (const [block, page] of [
      [0, 5],
      [0, 6],
      [1, 7],
    ] as const) {
      expect(memory[block]![page * PAGE_SIZE]).toBe(1);
    }
    expect(sent).toEqual([2, 1]);
    expect(statistics.total).toBe(240 * PAGE_SIZE);
  });
});
