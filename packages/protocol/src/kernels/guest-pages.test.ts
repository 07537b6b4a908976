import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KERNELS } from "../../test/kernels.ts";
import { fill, offset, recordsOf, run } from "../../test/page-runs.ts";
import { refusal } from "../../test/support.ts";
import {
  HEAD_BYTES,
  MAX_KERNEL_RUN,
  MAX_ZERO_RUN,
  PLACE_BYTES,
  runBytes,
  runOffset,
  ZERO_RECORD_BYTES,
} from "../index.ts";
import type { PlaceCursor } from "../index.ts";

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

  test("that have only zeros become records up to the first one that has not, and their heads are kept", () => {
    const [memory, heads] = [shared(6), shared(1)];
    const guest = kernel.openGuest(memory, { memory: heads, at: HEADS_AT });
    const bytes = new Uint8Array(memory.buffer);
    const kept = new Uint8Array(heads.buffer);
    fc.assert(
      fc.property(
        fc.nat(20),
        fc.nat(20),
        offset,
        fc.boolean(),
        fc.nat(50),
        (zeros, more, first, named, at) => {
          bytes.fill(0);
          kept.fill(0xee);
          // The last of its bytes makes the difference.
          bytes[(at + zeros + 1) * PAGE - 1] = 1;
          const count = zeros + more;
          fc.pre(first + count * PAGE <= 2 ** 53);
          const end = guest.encodeRun(at * PAGE, zeros, first, named, out);
          const expected = kernel.bytes.slice(out, end);
          kernel.bytes.fill(0xdd, out, end + PAGE);
          expect(guest.encodeZeros(at * PAGE, count, first, named, out)).toBe(end);
          expect(kernel.zeroCount).toBe(zeros);
          expect(Buffer.compare(kernel.bytes.subarray(out, end), expected)).toBe(0);
          expect(kernel.bytes[end]).toBe(0xdd);
          const expectedHeads = new Uint8Array(WASM_PAGE).fill(0xee);
          expectedHeads.fill(0, HEADS_AT + at * HEAD_BYTES, HEADS_AT + (at + zeros) * HEAD_BYTES);
          expect(Buffer.compare(kept, expectedHeads)).toBe(0);
        },
      ),
    );
  });

  test("of which more than so many cannot be made records of zeros, nor those that are not there", () => {
    const pages = 16 * (MAX_ZERO_RUN / 256 + 1);
    const guest = kernel.openGuest(shared(pages), { memory: shared(2), at: HEADS_AT });
    const end = guest.encodeZeros(0, MAX_ZERO_RUN, 0, false, out);
    expect(kernel.zeroCount).toBe(MAX_ZERO_RUN);
    expect(end).toBe(out + MAX_ZERO_RUN * ZERO_RECORD_BYTES);
    expect(refusal(() => guest.encodeZeros(0, MAX_ZERO_RUN + 1, 0, false, out)).code).toBe("INTERNAL");
    expect(refusal(() => guest.encodeZeros(16 * PAGE * pages, 1, 0, false, out)).code).toBe("INTERNAL");
    expect(refusal(() => guest.encodeZeros(0, 1, 1, false, out)).code).toBe("INTERNAL");
    expect(refusal(() => guest.encodeZeros(0, 30, 0, false, kernel.bytes.length - 300)).code).toBe(
      "INTERNAL",
    );
  });

  /** Any two that need more than 32 bits. */
  const ADDRESSES = { work: 2 ** 46 + 2 ** 31 + 5, guest: 2 ** 45 + 2 ** 32 - 4096 };

  /** The bytes that lie in the places of a vector, and those of the work memory that are in none. */
  function gathered(vectorAt: number, places: PlaceCursor, end: number, memory: WebAssembly.Memory): Buffer {
    const view = new DataView(kernel.bytes.buffer);
    const pieces: Uint8Array[] = [];
    for (let at = vectorAt; at < places.at; at += PLACE_BYTES) {
      const address = Number(view.getBigUint64(at, true));
      const length = Number(view.getBigUint64(at + 8, true));
      const inGuest = (at - vectorAt) % (2 * PLACE_BYTES) !== 0;
      const from = address - (inGuest ? ADDRESSES.guest : ADDRESSES.work);
      const bytes = inGuest ? new Uint8Array(memory.buffer) : kernel.bytes;
      pieces.push(bytes.slice(from, from + length));
    }
    return Buffer.concat([...pieces, kernel.bytes.slice(places.from, end)]);
  }

  test("are the same records when only their heads are in them, and the rest is taken from where it is", () => {
    const [memory, heads] = [shared(1), shared(1)];
    const guest = kernel.openGuest(memory, { memory: heads, at: HEADS_AT }, ADDRESSES);
    const vectorAt = kernel.take(2 * RUN * PLACE_BYTES);
    const bytes = new Uint8Array(memory.buffer);
    const kept = new Uint8Array(heads.buffer);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(run, offset, fc.boolean(), fc.nat(10)), { maxLength: 4 }),
        fc.nat(40),
        (runs, before) => {
          // What goes out before the records is in no place yet.
          kernel.bytes.fill(0x77, out, out + before);
          const whole: Uint8Array[] = [kernel.bytes.slice(out, out + before)];
          const places = { at: vectorAt, from: out };
          let end = out + before;
          let pages = 0;
          bytes.fill(0);
          for (const [list, , , place] of runs) {
            const from = place * PAGE;
            fill(bytes.subarray(from, from + list.length * PAGE), list);
          }
          for (const [list, first, named, place] of runs) {
            const from = place * PAGE;
            const scratch = end + MAX_KERNEL_RUN * PAGE;
            const recordsEnd = guest.encodeRun(from, list.length, first, named, scratch);
            whole.push(kernel.bytes.slice(scratch, recordsEnd));
            const zeros = list.map((_, n) => kernel.isZero(n));
            const expectedHeads = kept.slice();
            kept.fill(0xee);
            end = guest.encodeHeads(from, list.length, first, named, end, places);
            expect(list.map((_, n) => kernel.isZero(n))).toEqual(zeros);
            expect(kernel.zeroCount).toBe(zeros.filter(Boolean).length);
            pages += list.length - kernel.zeroCount;
            const headsFrom = HEADS_AT + place * HEAD_BYTES;
            const headsOf = (all: Uint8Array): Uint8Array =>
              all.subarray(headsFrom, headsFrom + list.length * HEAD_BYTES);
            expect(Buffer.compare(headsOf(kept), headsOf(expectedHeads))).toBe(0);
          }
          expect(places.at).toBe(vectorAt + 2 * pages * PLACE_BYTES);
          expect(Buffer.compare(gathered(vectorAt, places, end, memory), Buffer.concat(whole))).toBe(0);
        },
      ),
    );
  });

  test("that change behind their heads are taken as they are then; the heads are those that are kept", () => {
    const [memory, heads] = [shared(1), shared(1)];
    const guest = kernel.openGuest(memory, { memory: heads, at: 0 }, ADDRESSES);
    const vectorAt = kernel.take(2 * PLACE_BYTES);
    const places = { at: vectorAt, from: out };
    const bytes = new Uint8Array(memory.buffer);
    bytes.fill(1, PAGE, 2 * PAGE);
    const end = guest.encodeHeads(PAGE, 1, 0, false, out, places);
    bytes.fill(2, PAGE, 2 * PAGE);
    const page = gathered(vectorAt, places, end, memory).subarray(WORD);
    expect([...new Set(page.subarray(0, HEAD_BYTES))]).toEqual([1]);
    expect([...new Set(page.subarray(HEAD_BYTES))]).toEqual([2]);
    expect([...new Uint8Array(heads.buffer, HEAD_BYTES, HEAD_BYTES)]).toEqual([
      ...page.subarray(0, HEAD_BYTES),
    ]);
  });

  test("can be read to where they belong, as they are expected to come", () => {
    const memory = shared(1);
    const guest = kernel.openGuest(memory, { memory: shared(1), at: 0 }, ADDRESSES);
    const vectorAt = kernel.take(2 * 5 * PLACE_BYTES);
    const words = kernel.take(5 * WORD);
    const view = new DataView(kernel.bytes.buffer);
    const bytes = new Uint8Array(memory.buffer);
    fc.assert(
      fc.property(fc.nat(5), fc.nat(11), offset, (count, place, first) => {
        const kinds = Array.from({ length: count }, () => ({ kind: "page" }) as const);
        const records = recordsOf(kinds, first);
        bytes.fill(0xee);
        guest.expectRun(place * PAGE, count, words, vectorAt);
        // As the kernel of the host does it.
        let at = 0;
        for (let entry = vectorAt; entry < vectorAt + 2 * count * PLACE_BYTES; entry += PLACE_BYTES) {
          const address = Number(view.getBigUint64(entry, true));
          const length = Number(view.getBigUint64(entry + 8, true));
          const inGuest = (entry - vectorAt) % (2 * PLACE_BYTES) !== 0;
          const into = inGuest ? bytes : kernel.bytes;
          const to = address - (inGuest ? ADDRESSES.guest : ADDRESSES.work);
          into.set(records.subarray(at, at + length), to);
          at += length;
        }
        expect(at).toBe(records.length);
        expect(kernel.countWords(words, count, first)).toBe(count);
        const expected = new Uint8Array(WASM_PAGE).fill(0xee);
        kernel.bytes.set(records, out);
        if (count > 0) expected.set(kernel.gatherRun(out, count), place * PAGE);
        expect(Buffer.compare(bytes, expected)).toBe(0);
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
    const guest = kernel.openGuest(memory, { memory: heads, at: 0 }, ADDRESSES);
    const vectorAt = kernel.take(4 * PLACE_BYTES);
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
      const places = { at: vectorAt, from: out };
      const headsEnd = guest.encodeHeads(place, 2, place, false, out, places);
      expect(places).toEqual({ at: vectorAt + 4 * PLACE_BYTES, from: headsEnd });
      const view = new DataView(kernel.bytes.buffer);
      const addresses = [1, 3].map((n) => view.getBigUint64(vectorAt + n * PLACE_BYTES, true));
      const first = BigInt(ADDRESSES.guest) + BigInt(place + HEAD_BYTES);
      expect(addresses).toEqual([first, first + BigInt(PAGE)]);
      pages.fill(0);
    }
  });

  test("that are not there are mistakes of the caller", () => {
    const guest = kernel.openGuest(shared(1), { memory: shared(1), at: 0 });
    const gathering = kernel.openGuest(shared(1), { memory: shared(1), at: 0 }, ADDRESSES);
    const last = kernel.bytes.length;
    const vector = kernel.take(PLACE_BYTES * 2);
    const places = { at: vector, from: out };
    const mistakes: readonly (() => void)[] = [
      () => guest.encodeRun(15 * PAGE, 2, 0, false, out),
      () => guest.encodeRun(-PAGE, 1, 0, false, out),
      () => guest.encodeRun(4, 1, 0, false, out),
      () => guest.encodeRun(0, RUN + 1, 0, false, out),
      () => guest.encodeRun(0, 1, 1, false, out),
      () => guest.encodeRun(0, 1, 0, false, last - PAGE),
      () => guest.encodeHeads(0, 1, 0, false, out, places),
      () => gathering.encodeHeads(15 * PAGE, 2, 0, false, out, places),
      () => gathering.encodeHeads(0, 1, 1, false, out, places),
      () => gathering.encodeHeads(0, 1, 0, false, out, { at: last - PLACE_BYTES, from: out }),
      () => gathering.encodeHeads(0, 1, 0, false, out, { at: vector, from: out + 1 }),
      () => gathering.encodeHeads(0, 1, 0, false, out, { at: vector, from: 0 }),
      () => guest.expectRun(0, 1, out, vector),
      () => gathering.expectRun(15 * PAGE, 2, out, vector),
      () => gathering.expectRun(4, 1, out, vector),
      () => gathering.expectRun(0, RUN + 1, out, vector),
      () => gathering.expectRun(0, 1, last - 7, vector),
      () => gathering.expectRun(0, 1, out, last - PLACE_BYTES),
      () => guest.storeRun(out, 2, 15 * PAGE),
      () => guest.storeRun(out, 1, -PAGE),
      () => guest.storeRun(out, -1, 0),
      () => guest.storeRun(last - PAGE, 1, 0),
    ];
    for (const mistake of mistakes) expect(refusal(mistake).code).toBe("INTERNAL");
    expect(places).toEqual({ at: vector, from: out });
  });
});
