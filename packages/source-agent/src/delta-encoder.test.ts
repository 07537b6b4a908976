import { DELTA_OVERFLOW, DELTA_UNCHANGED, openPageKernel, workMemoryBytes } from "@peregrine/protocol";
import { MigrationParameters, MigrationStatistics, PAGE_SIZE } from "@peregrine/shared-state";
import type { TestRam } from "@peregrine/shared-state/testing";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DELTA_ENCODER_BYTES, DeltaEncoder } from "./delta-encoder.ts";
import { expectSameMemory, ramFixture } from "./testing/ram-fixture.ts";

const PAGES = 16;

function make(cachePages = PAGES, ramPages = PAGES) {
  const parameters = new MigrationParameters();
  parameters.set({ "xbzrle-cache-size": cachePages * PAGE_SIZE });
  const statistics = new MigrationStatistics();
  const clock = { now: 0 };
  const kernel = openPageKernel(workMemoryBytes([PAGE_SIZE, DELTA_ENCODER_BYTES]));
  const place = kernel.take(PAGE_SIZE);
  const deltas = new DeltaEncoder({
    kernel,
    ramBytes: ramPages * PAGE_SIZE,
    parameters,
    statistics,
    now: () => clock.now,
  });
  const pass = (number: number): void => {
    statistics.pass = number;
    statistics.dirtySyncCount = number;
    encoder.beginSection("part");
  };
  const encoder = {
    delta: deltas.delta,
    beginSection: (kind: "part" | "end"): void => deltas.beginSection(kind),
    zeroPage: (address: number): void => deltas.zeroPage(address),
    encode(address: number, page: Uint8Array): number {
      kernel.bytes.set(page, place);
      return deltas.encode(address, place);
    },
  };
  return { encoder, deltas, parameters, statistics, clock, pass };
}

const filled = (value: number): Uint8Array => new Uint8Array(PAGE_SIZE).fill(value);

/** A page in which no byte is as in a page of the same value. */
const scrambled = (value: number): Uint8Array => filled(value).map((byte, n) => byte + 1 + (n % 250));

function changed(value: number, at: number): Uint8Array {
  const page = filled(value);
  page[at]! ^= 0xff;
  return page;
}

/** Makes the first pages of a block such that no delta to zeros is worth it. */
function fill(ram: TestRam, block: number, pages: number): void {
  for (let at = 0; at < pages * PAGE_SIZE; at++) ram.store(block, at, 1 + (at % 251));
}

/** Writes to every byte of a page. */
function rewrite(ram: TestRam, page: number, factor: number): void {
  for (let n = 0; n < PAGE_SIZE; n++) ram.store(0, page * PAGE_SIZE + n, (factor * n) & 0xff);
}

describe("the delta encoder", () => {
  test("begins with the second pass, with deltas to what the first one sent", () => {
    const { encoder, statistics, pass } = make();
    pass(1);
    expect(encoder.encode(0, filled(1))).toBe(DELTA_OVERFLOW);
    expect(encoder.encode(0, filled(1))).toBe(DELTA_OVERFLOW);
    encoder.zeroPage(PAGE_SIZE);
    expect(statistics.xbzrle).toMatchObject({ cacheMiss: 0, pages: 0, overflow: 0, bytes: 0 });
    pass(2);
    expect(encoder.encode(0, changed(1, 100))).toBe(3);
    expect(encoder.encode(PAGE_SIZE, changed(1, 100))).toBe(DELTA_OVERFLOW);
    expect(statistics.xbzrle).toMatchObject({ cacheMiss: 1, pages: 1 });
  });

  test("makes deltas to zeros of what the destination has not, if they are less than half of the page", () => {
    const { encoder, deltas, statistics, pass } = make(1);
    /** A page of zeros that ends with so many other bytes. */
    const ending = (bytes: number): Uint8Array => filled(0).fill(7, PAGE_SIZE - bytes);
    const longest = PAGE_SIZE / 2 - 4;
    for (const number of [1, 2]) {
      pass(number);
      expect([encoder.encode(0, ending(1)), deltas.startsFromZeros]).toEqual([4, number === 1]);
      // There is room for one page, which is not given up.
      expect([encoder.encode(PAGE_SIZE, ending(1)), deltas.startsFromZeros]).toEqual([4, true]);
      expect([...encoder.delta.subarray(0, 4)]).toEqual([0xff, 0x1f, 1, 7]);
      expect(encoder.encode(PAGE_SIZE, ending(longest))).toBe(longest + 4);
      expect([encoder.encode(PAGE_SIZE, ending(longest + 1)), deltas.startsFromZeros]).toEqual([-1, false]);
      expect(encoder.encode(PAGE_SIZE, filled(0))).toBe(DELTA_OVERFLOW);
      if (number === 1) encoder.encode(0, ending(2));
    }
    const fromZeros = [4, 4, longest + 4, 5, 4, longest + 4];
    const bytes = fromZeros.reduce((sum, length) => sum + 9 + 3 + length, 3 + 4);
    expect(statistics.xbzrle).toMatchObject({ cacheMiss: 4, pages: 7, overflow: 0, bytes });
  });

  test("keeps of the first pass what comes first, and gives it up at once for a page that comes again", () => {
    const { encoder, pass } = make(4);
    pass(1);
    encoder.encode(0, filled(1));
    encoder.encode(4 * PAGE_SIZE, filled(2));
    encoder.encode(PAGE_SIZE, filled(3));
    pass(2);
    expect(encoder.encode(PAGE_SIZE, filled(3))).toBe(DELTA_UNCHANGED);
    expect(encoder.encode(4 * PAGE_SIZE, filled(2))).toBe(DELTA_OVERFLOW);
    expect(encoder.encode(4 * PAGE_SIZE, filled(2))).toBe(DELTA_UNCHANGED);
    expect(encoder.encode(0, filled(1))).toBe(DELTA_OVERFLOW);
  });

  test("keeps a page that it does not know, then makes deltas to it and counts", () => {
    const { encoder, statistics, pass } = make();
    pass(2);
    expect(encoder.encode(0, filled(1))).toBe(DELTA_OVERFLOW);
    expect(encoder.encode(0, changed(1, 100))).toBe(3);
    expect([...encoder.delta.subarray(0, 3)]).toEqual([100, 1, 0xfe]);
    expect(encoder.encode(0, changed(1, 100))).toBe(DELTA_UNCHANGED);
    expect(encoder.encode(0, scrambled(1))).toBe(DELTA_OVERFLOW);
    expect(encoder.encode(0, scrambled(1))).toBe(DELTA_UNCHANGED);
    expect(statistics.xbzrle).toMatchObject({
      cacheMiss: 1,
      pages: 4,
      overflow: 1,
      bytes: 3 + 3 + PAGE_SIZE,
    });
  });

  test("keeps zero pages, so that what follows is a delta to zeros", () => {
    const { encoder, statistics, pass } = make();
    pass(2);
    encoder.encode(0, filled(1));
    encoder.zeroPage(0);
    expect(encoder.encode(0, changed(0, 7))).toBe(3);
    encoder.zeroPage(PAGE_SIZE);
    expect(encoder.encode(PAGE_SIZE, changed(0, 7))).toBe(3);
    expect(statistics.xbzrle).toMatchObject({ cacheMiss: 1, pages: 2 });
  });

  test("gives a slot to another page when it was not used for two passes", () => {
    const { encoder, pass } = make(4);
    pass(2);
    encoder.encode(0, filled(1));
    pass(3);
    expect(encoder.encode(4 * PAGE_SIZE, filled(2))).toBe(DELTA_OVERFLOW);
    expect(encoder.encode(0, filled(1))).toBe(DELTA_UNCHANGED);
    pass(5);
    expect(encoder.encode(4 * PAGE_SIZE, filled(2))).toBe(DELTA_OVERFLOW);
    expect(encoder.encode(4 * PAGE_SIZE, filled(2))).toBe(DELTA_UNCHANGED);
  });

  test("keeps nothing more once the guest stands still", () => {
    const { encoder, statistics, pass } = make();
    pass(2);
    encoder.encode(0, filled(1));
    encoder.beginSection("end");
    expect(encoder.encode(PAGE_SIZE, filled(1))).toBe(DELTA_OVERFLOW);
    expect(encoder.encode(PAGE_SIZE, filled(1))).toBe(DELTA_OVERFLOW);
    expect(encoder.encode(0, changed(1, 5))).toBe(3);
    expect(encoder.encode(0, changed(1, 5))).toBe(3);
    expect(statistics.xbzrle).toMatchObject({ cacheMiss: 3, pages: 2 });
  });

  test("follows a changed size with the next section, and keeps what still fits", () => {
    const { encoder, parameters, pass } = make(4);
    pass(2);
    for (let page = 0; page < 4; page++) encoder.encode(page * PAGE_SIZE, filled(page));
    parameters.set({ "xbzrle-cache-size": 8 * PAGE_SIZE });
    pass(3);
    for (const page of [0, 2]) expect(encoder.encode(page * PAGE_SIZE, filled(page))).toBe(DELTA_UNCHANGED);
    parameters.set({ "xbzrle-cache-size": 2 * PAGE_SIZE });
    pass(4);
    // Pages 0 and 2 were used last, and both want the first slot; 1 and 3 the second.
    const found = [0, 1, 2, 3].filter((page) => encoder.encode(page * PAGE_SIZE, filled(page)) === 0);
    expect(found).toHaveLength(2);
    expect(found.some((page) => page % 2 === 0)).toBe(true);
  });

  test("takes no larger table than memory has pages", () => {
    const { encoder, pass } = make(2 ** 40, 5);
    pass(2);
    for (let page = 0; page < 5; page++) encoder.encode(page * PAGE_SIZE, filled(page));
    for (let page = 0; page < 5; page++) {
      expect(encoder.encode(page * PAGE_SIZE, filled(page))).toBe(DELTA_UNCHANGED);
    }
  });

  test("computes the rates of each second", () => {
    const { encoder, statistics, clock, pass } = make();
    const { xbzrle } = statistics;
    pass(2);
    encoder.encode(0, filled(1));
    encoder.zeroPage(PAGE_SIZE);
    encoder.encode(0, changed(1, 9));
    encoder.encode(0, changed(1, 9));
    clock.now = 1000;
    pass(2);
    expect([xbzrle.cacheMissRate, xbzrle.encodingRate]).toEqual([0, 0]);
    clock.now = 1001;
    pass(2);
    expect([xbzrle.cacheMissRate, xbzrle.encodingRate]).toEqual([1 / 4, (2 * PAGE_SIZE) / 6]);
    clock.now = 2002;
    pass(2);
    expect([xbzrle.cacheMissRate, xbzrle.encodingRate]).toEqual([0, 0]);
  });
});

describe("a migration with deltas", () => {
  test("sends what changed of a page, from the second pass on", async () => {
    const { sender, ram, statistics, received } = await ramFixture({ cache: 512 * PAGE_SIZE });
    fill(ram, 0, 10);
    await sender.start();
    await sender.iterate();
    expect(await received()).toMatchObject({ pages: 10 });
    const { pages, bytes } = statistics.xbzrle;
    for (let pass = 2; pass < 5; pass++) {
      for (let page = 0; page < 10; page++) ram.store(0, page * PAGE_SIZE + 50, pass);
      sender.pending(0);
      await sender.iterate();
    }
    ram.store(0, 50, 9);
    await sender.complete();
    const everything = await received();
    expectSameMemory(everything, ram);
    expect(everything).toMatchObject({ pages: 10, deltas: pages + 31 });
    expect(statistics.xbzrle).toMatchObject({
      cacheMiss: 0,
      pages: pages + 31,
      bytes: bytes + 31 * 6,
    });
    expect(statistics.normal).toBe(10);
  });

  test("sends a page with little in it as zeros and what is between them, the first time, too", async () => {
    const { sender, ram, statistics, received } = await ramFixture({ cache: 512 * PAGE_SIZE });
    await sender.start();
    await sender.iterate();
    await sender.complete();
    const everything = await received();
    expectSameMemory(everything, ram);
    const { xbzrle, duplicate, normal } = statistics;
    expect(everything.deltas).toBeGreaterThan(100);
    expect(everything).toMatchObject({ pages: 0, zeroPages: duplicate + everything.deltas });
    expect(normal).toBe(0);
    expect([xbzrle.pages, xbzrle.cacheMiss]).toEqual([everything.deltas, 0]);
    expect(xbzrle.bytes).toBeLessThan(everything.deltas * 64);
  });

  test("sends nothing of a page that was written to and is as it was", async () => {
    const { sender, ram, statistics, received } = await ramFixture({ cache: 512 * PAGE_SIZE });
    await sender.start();
    await sender.iterate();
    const before = await received();
    const { pages, bytes } = statistics.xbzrle;
    ram.store(0, 0, ram.load(0, 0));
    expect(sender.pending(0)).toBe(PAGE_SIZE);
    await sender.iterate();
    const { zeroPages, deltas } = before;
    expect(await received()).toMatchObject({ pages: before.pages, zeroPages, deltas });
    expect(statistics.xbzrle).toMatchObject({ pages: pages + 1, bytes });
  });

  test("keeps the very copy that it sent, although the guest goes on writing", async () => {
    const { sender, ram, received } = await ramFixture({ cache: 512 * PAGE_SIZE });
    const read = ram.readPages.bind(ram);
    let value = 0;
    const readAndWrite: typeof ram.readPages = (block, page, count, target, at) => {
      read(block, page, count, target, at);
      value = (value + 1) & 0xff;
      ram.store(block, page * PAGE_SIZE + 60, value);
    };
    await sender.start();
    await sender.iterate();
    Object.assign(ram, { readPages: readAndWrite });
    for (let pass = 0; pass < 20; pass++) {
      ram.store(0, 0, pass);
      sender.pending(0);
      await sender.iterate();
    }
    Object.assign(ram, { readPages: read });
    await sender.complete();
    const everything = await received();
    expectSameMemory(everything, ram);
    expect(everything.deltas).toBeGreaterThanOrEqual(15);
  });

  test("whatever the guest writes and however small the cache, memory is the same at the end", async () => {
    const write = fc.record({
      block: fc.constantFrom(0, 1),
      page: fc.integer({ min: 0, max: 7 }),
      at: fc.constantFrom(0, 1, 2000, 4095),
      value: fc.constantFrom(0, 1, 255),
    });
    const turn = fc.record({
      writes: fc.array(write, { minLength: 5, maxLength: 30 }),
      /** A page that is written all over, or cleared. */
      whole: fc.option(fc.record({ page: fc.integer({ min: 0, max: 7 }), value: fc.constantFrom(0, 1, 7) })),
      cachePages: fc.constantFrom(2, 4, 512, 512),
    });
    let deltas = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { minLength: 3, maxLength: 12 }), async (turns) => {
        const { sender, ram, parameters, received } = await ramFixture({ cache: PAGE_SIZE });
        await sender.start();
        await sender.iterate();
        for (const { writes, whole, cachePages } of turns) {
          parameters.set({ "xbzrle-cache-size": cachePages * PAGE_SIZE });
          if (whole !== null) rewrite(ram, whole.page, whole.value);
          for (const { block, page, at, value } of writes) ram.store(block, page * PAGE_SIZE + at, value);
          sender.pending(0);
          await sender.iterate();
        }
        for (const { block, page, at, value } of turns[0]!.writes) {
          ram.store(block, page * PAGE_SIZE + at, value);
        }
        await sender.complete();
        const everything = await received();
        expectSameMemory(everything, ram);
        deltas += everything.deltas;
      }),
      { numRuns: 60 },
    );
    expect(deltas).toBeGreaterThan(100);
  });
});
