import { DirtyBitmap, PAGE_SIZE } from "@peregrine/shared-state";
import type { RamBlock, RamBuilder } from "@peregrine/shared-state";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Backlog } from "./backlog.ts";
import { buildRam, openRam } from "./image-memory.ts";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

function builderOf(...blocks: readonly RamBlock[]): RamBuilder {
  const builder = buildRam({ backlog: Backlog.newBuffer(), blocks: [] });
  for (const block of blocks) builder.addBlock(block);
  return builder;
}

/** Whether this host gives a process so much address space at once. */
function hasRoomFor(bytes: number): boolean {
  try {
    return new SharedArrayBuffer(bytes).byteLength === bytes;
  } catch {
    return false;
  }
}

describe("the memory of an image", () => {
  it("is sent as it is, whatever is written, filled, harvested and sent in between", () => {
    const pages = 40;
    const length = pages * PAGE_SIZE;
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("write" as const),
        page: fc.nat(pages - 1),
        count: fc.integer({ min: 1, max: 5 }),
        value: fc.nat(255),
      }),
      fc.record({
        kind: fc.constant("fill" as const),
        page: fc.nat(pages - 1),
        value: fc.constantFrom(0, 1, 255),
      }),
      fc.record({ kind: fc.constant("harvest" as const) }),
      fc.record({ kind: fc.constant("send" as const), count: fc.integer({ min: 1, max: pages }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { ram } = builderOf({ name: "other", length: PAGE_SIZE }, { name: "pc.ram", length });
        const written = new Uint8Array(length);
        const copy = new Uint8Array(length);
        const dirty = [new DirtyBitmap(1), new DirtyBitmap(pages)];
        const send = (count: number): void => {
          const taken = dirty[1]!.takeRun(0, count);
          const first = dirty[1]!.runStart;
          ram.readPages(1, first, taken, copy, first * PAGE_SIZE);
        };
        for (const action of steps) {
          switch (action.kind) {
            case "write": {
              const count = Math.min(action.count, pages - action.page);
              const bytes = Uint8Array.from({ length: count * PAGE_SIZE }, (_, at) => action.value + at);
              ram.writePages(1, action.page * PAGE_SIZE, bytes);
              written.set(bytes, action.page * PAGE_SIZE);
              break;
            }
            case "fill": {
              const offset = action.page * PAGE_SIZE;
              ram.fillPages(1, offset, 1, action.value);
              written.fill(action.value, offset, offset + PAGE_SIZE);
              break;
            }
            case "harvest":
              ram.harvest(dirty);
              break;
            case "send":
              send(action.count);
              break;
          }
        }
        ram.harvest(dirty);
        while (dirty[1]!.count > 0) send(pages);
        expect(Buffer.compare(copy, written)).toBe(0);
        expect(dirty[0]!.count).toBe(0);
      }),
    );
  });

  it("is reached through its access by other threads, and grows by block", () => {
    const builder = builderOf({ name: "a", length: PAGE_SIZE });
    const { ram } = builder;
    builder.addBlock({ name: "empty", length: 0 });
    builder.addBlock({ name: "b", length: 2 * PAGE_SIZE });
    ram.fillPages(2, PAGE_SIZE, 1, 5);
    const opened = openRam(structuredClone(builder.access().data));
    expect(opened.blocks.map(({ name }) => name)).toEqual(["a", "empty", "b"]);
    const page = new Uint8Array(PAGE_SIZE);
    opened.readPages(2, 1, 1, page, 0);
    expect(page).toEqual(new Uint8Array(PAGE_SIZE).fill(5));
    const into = [1, 0, 2].map((pages) => new DirtyBitmap(pages));
    expect([opened.harvest(into), ram.harvest(into)]).toEqual([1, 0]);
  });

  it("refuses what is not whole pages, and blocks that there are not", () => {
    const { ram } = builderOf({ name: "pc.ram", length: 4 * PAGE_SIZE });
    const refused = expect.objectContaining({ code: "BAD_RAM_PAGE" });
    expect(() => ram.writePages(0, 1, new Uint8Array(PAGE_SIZE))).toThrow(refused);
    expect(() => ram.writePages(0, 0, new Uint8Array(PAGE_SIZE - 1))).toThrow(refused);
    expect(() => ram.fillPages(0, 512, 1, 0)).toThrow(refused);
    expect(() => ram.fillPages(1, 0, 1, 0)).toThrow(refused);
    expect(() => ram.readPages(0, 0, -1, new Uint8Array(PAGE_SIZE), 0)).toThrow(refused);
    expect(() => ram.writePages(0, 0x7000, new Uint8Array(PAGE_SIZE))).toThrow("Illegal RAM offset 7000");
  });

  it("takes no memory for pages that are zero and stay so", () => {
    const pages = (2 * GIB) / PAGE_SIZE;
    const { ram } = builderOf({ name: "pc.ram", length: pages * PAGE_SIZE });
    const before = process.memoryUsage().rss;
    for (let page = 0; page < pages; page++) ram.fillPages(0, page * PAGE_SIZE, 1, 0);
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * MIB);
    expect(ram.harvest([new DirtyBitmap(pages)])).toBe(pages);
  });

  // Byte offsets and 32-bit indices beyond 2^32, page numbers within them.
  it.skipIf(!hasRoomFor(5 * GIB))("has blocks of more than 4 GiB", () => {
    const length = 5 * GIB;
    const pages = length / PAGE_SIZE;
    const { ram } = builderOf({ name: "pc.ram", length });
    const offsets = [0, 2 * GIB - PAGE_SIZE, 2 * GIB, 4 * GIB - PAGE_SIZE, 4 * GIB, length - PAGE_SIZE];
    for (const [n, offset] of offsets.entries()) {
      if (n % 2 === 0) ram.fillPages(0, offset, 1, n + 1);
      else ram.writePages(0, offset, new Uint8Array(PAGE_SIZE).fill(n + 1));
    }
    const dirty = new DirtyBitmap(pages);
    expect(ram.harvest([dirty])).toBe(offsets.length);
    for (const [n, offset] of offsets.entries()) {
      expect(dirty.test(offset / PAGE_SIZE)).toBe(true);
      const page = new Uint8Array(PAGE_SIZE);
      ram.readPages(0, offset / PAGE_SIZE, 1, page, 0);
      expect(page).toEqual(new Uint8Array(PAGE_SIZE).fill(n + 1));
      ram.fillPages(0, offset, 1, n + 1);
    }
    expect(ram.harvest([dirty])).toBe(0);
    expect(() => ram.fillPages(0, length, 1, 1)).toThrow("Illegal RAM offset 140000000");
  });

  it.each([1, 4095, 4097, Number.NaN])("refuses a block of %d bytes", (length) => {
    expect(() => builderOf({ name: "pc.ram", length })).toThrow(
      expect.objectContaining({
        code: "BAD_RAM_BLOCK",
        message: `RAM block 'pc.ram' cannot be accepted: its length ${length} is not a multiple of 4096`,
      }),
    );
  });

  it("refuses blocks that are too much together", () => {
    const add = (): RamBuilder =>
      builderOf({ name: "pc.rom", length: PAGE_SIZE }, { name: "pc.ram", length: 4096 * GIB });
    expect(add).toThrow(
      expect.objectContaining({
        code: "LIMIT_EXCEEDED",
        message:
          "RAM block 'pc.ram' of 4398046511104 bytes makes the image larger than 4398046511104 bytes, the most that can be held",
      }),
    );
  });

  it.skipIf(hasRoomFor(4096 * GIB))("refuses a block that the host has no memory for", () => {
    expect(() => builderOf({ name: "pc.ram", length: 4096 * GIB })).toThrow(
      expect.objectContaining({
        code: "LIMIT_EXCEEDED",
        message: "RAM block 'pc.ram' needs 4398046511104 bytes of memory, which cannot be had on this host",
      }),
    );
  });
});
