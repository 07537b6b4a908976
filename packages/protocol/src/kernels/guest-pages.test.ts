import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KERNELS } from "../../test/kernels.ts";
import { fill, offset, recordsOf, run } from "../../test/page-runs.ts";
import { refusal } from "../../test/support.ts";
import { HEAD_BYTES, MAX_KERNEL_RUN, runBytes, runOffset } from "../index.ts";

const PAGE = 4096;
const RUN = MAX_KERNEL_RUN;
const WORD = 8;
const ROOM = 2 ** 23;

describe.each(KERNELS)("pages of a guest's memory, %s", (_name, open) => {
  const WASM_PAGE = 65536;
  const HEADS_AT = 48;
  const kernel = open(ROOM);
  const out = kernel.take(runBytes(RUN));
  const shared = (pages: number, maximum = pages): WebAssembly.Memory =>
    new WebAssembly.Memory({ initial: pages, maximum, shared: true });

  test("become the records that those of the work memory become, and their heads are kept", () => {
    const inWork = kernel.take(6 * PAGE);
    const [memory, heads] = [shared(1), shared(1)];
    const guest = kernel.openGuest(memory, { memory: heads, at: HEADS_AT });
    const bytes = new Uint8Array(memory.buffer);
    const kept = new Uint8Array(heads.buffer);
    fc.assert(
      fc.property(run, offset, fc.boolean(), fc.nat(10), (list, first, named, place) => {
        bytes.fill(0xee);
        kept.fill(0xee);
        const from = place * PAGE;
        const pages = bytes.subarray(from, from + list.length * PAGE);
        fill(pages, list);
        kernel.bytes.set(pages, inWork);
        const end = kernel.encodeRun(inWork, list.length, first, named, out);
        const expected = kernel.bytes.slice(out, end);
        const zeros = list.map((_, n) => kernel.isZero(n));
        kernel.bytes.fill(0, out, end);
        expect(guest.encodeRun(from, list.length, first, named, out)).toBe(end);
        expect(Buffer.compare(kernel.bytes.subarray(out, end), expected)).toBe(0);
        expect(list.map((_, n) => kernel.isZero(n))).toEqual(zeros);
        expect(kernel.zeroCount).toBe(zeros.filter(Boolean).length);
        const expectedHeads = new Uint8Array(WASM_PAGE).fill(0xee);
        for (const n of list.keys())
          expectedHeads.set(
            pages.subarray(n * PAGE, n * PAGE + HEAD_BYTES),
            HEADS_AT + (place + n) * HEAD_BYTES,
          );
        expect(Buffer.compare(kept, expectedHeads)).toBe(0);
      }),
    );
  });

  test("are written from a run of records, which stays as it is", () => {
    const memory = shared(1, 2);
    const guest = kernel.openGuest(memory, { memory: shared(1), at: 0 });
    const records = recordsOf([{ kind: "page" }, { kind: "page" }, { kind: "page" }], 0);
    kernel.bytes.set(records, out + 3);
    // Also where the memory has grown since.
    memory.grow(1);
    const bytes = new Uint8Array(memory.buffer);
    for (const place of [0, 15 * PAGE, 29 * PAGE]) {
      bytes.fill(0xee);
      guest.storeRun(out + 3, 3, place);
      expect(Buffer.compare(kernel.bytes.subarray(out + 3, out + 3 + records.length), records)).toBe(0);
      const expected = new Uint8Array(2 * WASM_PAGE).fill(0xee);
      expected.set(kernel.gatherRun(out + 3, 3), place);
      expect(Buffer.compare(bytes, expected)).toBe(0);
      kernel.bytes.set(records, out + 3);
    }
  });

  test("are found in the upper half of the largest memory, too", () => {
    const [memory, heads] = [shared(65536), shared(256)];
    const guest = kernel.openGuest(memory, { memory: heads, at: 0 });
    for (const place of [2 ** 31 - PAGE, 2 ** 32 - 2 * PAGE]) {
      const pages = new Uint8Array(memory.buffer, place, 2 * PAGE);
      pages[PAGE + 5] = 9;
      const end = guest.encodeRun(place, 2, place, false, out);
      expect(end - out).toBe(WORD + 1 + WORD + PAGE);
      expect(runOffset(kernel.bytes, out)).toBe(place);
      const { buffer } = heads;
      expect(new Uint8Array(buffer, (place / PAGE) * HEAD_BYTES, 2 * HEAD_BYTES).indexOf(9)).toBe(
        HEAD_BYTES + 5,
      );
      guest.storeRun(out + WORD + 1, 1, place);
      expect(pages.indexOf(9)).toBe(5);
      pages.fill(0);
    }
  });

  test("that are not there are mistakes of the caller", () => {
    const guest = kernel.openGuest(shared(1), { memory: shared(1), at: 0 });
    const last = kernel.bytes.length;
    const mistakes: readonly (() => void)[] = [
      () => guest.encodeRun(15 * PAGE, 2, 0, false, out),
      () => guest.encodeRun(-PAGE, 1, 0, false, out),
      () => guest.encodeRun(4, 1, 0, false, out),
      () => guest.encodeRun(0, RUN + 1, 0, false, out),
      () => guest.encodeRun(0, 1, 1, false, out),
      () => guest.encodeRun(0, 1, 0, false, last - PAGE),
      () => guest.storeRun(out, 2, 15 * PAGE),
      () => guest.storeRun(out, 1, -PAGE),
      () => guest.storeRun(out, -1, 0),
      () => guest.storeRun(last - PAGE, 1, 0),
    ];
    for (const mistake of mistakes) expect(refusal(mistake).code).toBe("INTERNAL");
  });
});
