import * as fc from "fast-check";
import { expect, test } from "vitest";
import { RamRecorder } from "../test/ram-payload.ts";
import { toHex } from "../test/support.ts";
import {
  DEFAULT_LIMITS,
  hasMappedPage,
  MAPPED_RAM_HEADER_BYTES,
  mappedBitmapBytes,
  placeMappedBlock,
  readMappedBlock,
  setMappedPage,
} from "./index.ts";

const PAGE = 4096;
const MIB = 1024 * 1024;

test("the bitmap has whole words, and bit n is bit n % 8 of byte n / 8", () => {
  expect([0, 1, 64, 65, 4096].map((pages) => mappedBitmapBytes(pages * PAGE))).toEqual([0, 8, 8, 16, 512]);
  const bitmap = new Uint8Array(16);
  setMappedPage(bitmap, 0, true);
  setMappedPage(bitmap, 77, true);
  setMappedPage(bitmap, 78, true);
  setMappedPage(bitmap, 78, false);
  expect(toHex(bitmap)).toBe("01000000000000000020000000000000");
  expect([0, 1, 77, 78].map((page) => hasMappedPage(bitmap, page))).toEqual([true, false, true, false]);
});

test("pages begin at the next whole MiB behind the bitmap", () => {
  const first = placeMappedBlock(0x100, 16 * MIB);
  expect(first).toEqual({
    header: { pageSize: PAGE, bitmapOffset: 0x100 + MAPPED_RAM_HEADER_BYTES, pagesOffset: MIB },
    end: 17 * MIB,
  });
  const exact = MIB - MAPPED_RAM_HEADER_BYTES - mappedBitmapBytes(16 * MIB);
  expect(placeMappedBlock(exact, 16 * MIB).header.pagesOffset).toBe(MIB);
  expect(placeMappedBlock(exact + 1, 16 * MIB).header.pagesOffset).toBe(2 * MIB);
});

test("a block is read at its places: present pages in runs, the others as zero without a read", async () => {
  const pages = 700;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ from: fc.nat(pages - 1), count: fc.integer({ min: 1, max: 400 }) }), {
        maxLength: 5,
      }),
      async (ranges) => {
        const header = { pageSize: PAGE, bitmapOffset: 1000, pagesOffset: MIB };
        const bitmap = new Uint8Array(mappedBitmapBytes(pages * PAGE));
        for (const { from, count } of ranges) {
          for (let page = from; page < Math.min(pages, from + count); page++)
            setMappedPage(bitmap, page, true);
        }
        const recorder = new RamRecorder();
        const reads = new Map<number, number>();
        const block = { index: 2, length: pages * PAGE, header };
        await readMappedBlock(block, DEFAULT_LIMITS, recorder, (offset, target) => {
          if (offset === header.bitmapOffset) {
            target.set(bitmap);
            return Promise.resolve();
          }
          const first = (offset - header.pagesOffset) / PAGE;
          for (let at = 0; at < target.length; at += PAGE) target.fill(first + at / PAGE, at, at + PAGE);
          reads.set(first, target.length / PAGE);
          return Promise.resolve();
        });
        const expected = Array.from({ length: pages }, (_, page) =>
          hasMappedPage(bitmap, page)
            ? { page: [2, page * PAGE, toHex(new Uint8Array(PAGE).fill(page))] }
            : { zero: [2, page * PAGE, 0] },
        );
        expect(JSON.stringify(recorder.events)).toBe(JSON.stringify(expected));
        for (const [first, count] of reads) {
          expect(count).toBeLessThanOrEqual(256);
          expect(first === 0 || !hasMappedPage(bitmap, first - 1) || reads.get(first - 256) === 256).toBe(
            true,
          );
        }
      },
    ),
    { numRuns: 20 },
  );
});

test("a bitmap beyond the limit is refused before it is read", async () => {
  const block = { index: 0, length: 65 * PAGE, header: placeMappedBlock(0, 65 * PAGE).header };
  const limits = { ...DEFAULT_LIMITS, maxItemBytes: 15 };
  const reading = readMappedBlock(block, limits, new RamRecorder(), () => {
    throw new Error("it was read");
  });
  await expect(reading).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
});
