import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fenced, KERNELS } from "../../test/kernels.ts";
import { fill, offset, run } from "../../test/page-runs.ts";
import { refusal } from "../../test/support.ts";
import { HEAD_BYTES, MAX_KERNEL_RUN, PLACE_BYTES, WORD_BYTES } from "../index.ts";

const PAGE = 4096;
const MOST = 6;
/** Any two that need more than 32 bits. */
const ADDRESSES = { work: 2 ** 46 + 2 ** 31 + 5, guest: 2 ** 45 + 2 ** 32 - 4096 };

/** The words of pages that begin at these offsets. */
function wordsOf(offsets: readonly number[]): Buffer {
  const bytes = Buffer.alloc(offsets.length * WORD_BYTES);
  for (const [n, at] of offsets.entries()) bytes.writeBigUInt64BE(BigInt(at), n * WORD_BYTES);
  return bytes;
}

describe.each(KERNELS)("pages of a packet, %s", (_name, open) => {
  const kernel = open(2 ** 20);
  const pages = new Fenced(kernel, MOST * PAGE);
  const words = new Fenced(kernel, MOST * WORD_BYTES);

  test("in the work memory are moved together without those of zeros, and their offsets are written", () => {
    fc.assert(
      fc.property(run, offset, (list, first) => {
        fill(pages.bytes, list);
        const original = Buffer.from(pages.bytes);
        const normal = [...list.keys()].filter((n) => list[n]!.value !== 0);
        expect(kernel.packPages(pages.at, list.length, first, words.at)).toBe(normal.length);
        const expected = Buffer.concat(normal.map((n) => original.subarray(n * PAGE, (n + 1) * PAGE)));
        expect(Buffer.compare(pages.bytes.subarray(0, expected.length), expected)).toBe(0);
        const offsets = wordsOf(normal.map((n) => first + n * PAGE));
        expect(Buffer.compare(words.bytes.subarray(0, offsets.length), offsets)).toBe(0);
        expect(list.map((_, n) => kernel.isZero(n))).toEqual(list.map(({ value }) => value === 0));
        expect(kernel.zeroCount).toBe(list.length - normal.length);
        expect([pages.intact, words.intact]).toEqual([true, true]);
      }),
    );
  });

  test("in a guest's memory are gathered as they are then, but for their heads, which are kept", () => {
    const shared = (): WebAssembly.Memory => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const [memory, kept] = [shared(), shared()];
    const guest = kernel.openGuest(memory, { memory: kept, at: 0 }, ADDRESSES);
    const heads = new Fenced(kernel, MOST * HEAD_BYTES);
    const vector = new Fenced(kernel, 2 * MOST * PLACE_BYTES);
    const bytes = new Uint8Array(memory.buffer);
    fc.assert(
      fc.property(run, offset, fc.nat(9), (list, first, place) => {
        bytes.fill(0);
        const from = place * PAGE;
        fill(bytes.subarray(from, from + list.length * PAGE), list);
        new Uint8Array(kept.buffer).fill(0xee);
        const normal = [...list.keys()].filter((n) => list[n]!.value !== 0);
        const count = guest.gatherPages(from, list.length, first, words.at, heads.at, vector.at);
        expect(count).toBe(normal.length);
        const expectedHeads = list.map((_, n) =>
          Buffer.from(bytes.subarray(from + n * PAGE, from + n * PAGE + HEAD_BYTES)),
        );
        // The guest writes on: heads stay as they were, the rest is what is there when it is read.
        for (const n of list.keys()) bytes.fill(0x5a, from + n * PAGE, from + (n + 1) * PAGE);
        const view = new DataView(kernel.bytes.buffer);
        const gathered = Array.from({ length: 2 * count }, (_, n) => {
          const at = vector.at + n * PLACE_BYTES;
          const address = Number(view.getBigUint64(at, true));
          const length = Number(view.getBigUint64(at + 8, true));
          const [source, start] = n % 2 === 0 ? [kernel.bytes, ADDRESSES.work] : [bytes, ADDRESSES.guest];
          return Buffer.from(source.subarray(address - start, address - start + length));
        });
        const expected = normal.flatMap((n) => [expectedHeads[n]!, Buffer.alloc(PAGE - HEAD_BYTES, 0x5a)]);
        expect(Buffer.compare(Buffer.concat(gathered), Buffer.concat(expected))).toBe(0);
        const keptHeads = new Uint8Array(kept.buffer, place * HEAD_BYTES, list.length * HEAD_BYTES);
        expect(Buffer.compare(keptHeads, Buffer.concat(expectedHeads))).toBe(0);
        const offsets = wordsOf(normal.map((n) => first + n * PAGE));
        expect(Buffer.compare(words.bytes.subarray(0, offsets.length), offsets)).toBe(0);
        expect(list.map((_, n) => kernel.isZero(n))).toEqual(list.map(({ value }) => value === 0));
        expect([words.intact, heads.intact, vector.intact]).toEqual([true, true, true]);
      }),
    );
  });

  test("have offsets that are counted up to the first that does not follow", () => {
    fc.assert(
      fc.property(offset, fc.nat(MOST), fc.nat(MOST), fc.nat(63), (first, count, broken, bit) => {
        words.bytes.set(wordsOf(Array.from({ length: count }, (_, n) => first + n * PAGE)));
        if (broken < count) words.bytes[broken * WORD_BYTES + (bit >> 3)]! ^= 1 << (bit & 7);
        expect(kernel.countOffsets(words.at, count, first)).toBe(Math.min(count, broken));
      }),
    );
  });

  test("that do not fit are mistakes of the caller", () => {
    const { length } = kernel.bytes;
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const guest = kernel.openGuest(memory, { memory, at: 0 }, ADDRESSES);
    const bare = kernel.openGuest(memory, { memory, at: 0 });
    const mistakes = [
      () => kernel.packPages(length - PAGE, 2, 0, words.at),
      () => kernel.packPages(pages.at, MAX_KERNEL_RUN + 1, 0, words.at),
      () => kernel.packPages(pages.at, 1, 1, words.at),
      () => kernel.packPages(pages.at, 2, 0, length - WORD_BYTES),
      () => kernel.countOffsets(length, 1, 0),
      () => kernel.countOffsets(words.at, 1, -PAGE),
      () => guest.gatherPages(16 * PAGE, 1, 0, words.at, pages.at, pages.at),
      () => guest.gatherPages(0, 1, 0, length, pages.at, pages.at),
      () => guest.gatherPages(0, 2, 0, words.at, length - HEAD_BYTES, pages.at),
      () => guest.gatherPages(0, 1, 0, words.at, pages.at, length - PLACE_BYTES),
      () => bare.gatherPages(0, 1, 0, words.at, pages.at, pages.at),
    ];
    for (const mistake of mistakes) expect(refusal(mistake).code).toBe("INTERNAL");
  });
});
