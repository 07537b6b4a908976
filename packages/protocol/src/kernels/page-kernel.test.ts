import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fenced, KERNELS } from "../../test/kernels.ts";
import { fill, offset, page, recordsOf, run } from "../../test/page-runs.ts";
import type { TestRecord } from "../../test/page-runs.ts";
import { decodePayload, RamRecorder } from "../../test/ram-payload.ts";
import { refusal, written } from "../../test/support.ts";
import {
  encodeRamBlockList,
  hasWasmKernels,
  MAX_KERNEL_RUN,
  openPageKernel,
  RamPageEncoder,
  runBytes,
  runOffset,
} from "../index.ts";
import type { PageKernel } from "../index.ts";

const PAGE = 4096;
const RUN = MAX_KERNEL_RUN;
const WORD = 8;
const ROOM = 2 ** 23;

/** What the record encoder writes. */
function reference(bytes: Uint8Array, count: number, at: number, name: string, named: boolean): Uint8Array {
  return written((w) => {
    const encoder = new RamPageEncoder();
    if (!named) encoder.zeroPage(w, name, 0);
    const before = w.length;
    for (let n = 0; n < count; n++) {
      const one = bytes.subarray(n * PAGE, (n + 1) * PAGE);
      if (one.every((byte) => byte === 0)) encoder.zeroPage(w, name, at + n * PAGE);
      else encoder.page(w, name, at + n * PAGE, one);
    }
    const records = w.view().slice(before);
    w.reset();
    w.bytes(records);
  });
}

test("this engine runs the fast kernels, and they are the ones that are opened", () => {
  expect(hasWasmKernels()).toBe(true);
  expect(openPageKernel(1).implementation).toBe("wasm");
});

describe.each(KERNELS)("%s", (_name, open) => {
  test("a run becomes the records that the record encoder writes", () => {
    const kernel = open(ROOM);
    const pages = new Fenced(kernel, RUN * PAGE);
    const out = new Fenced(kernel, runBytes(RUN) + 7);
    fc.assert(
      fc.property(
        run, offset, fc.string({ maxLength: 60 }), fc.boolean(), fc.nat(7),
        (list, first, name, named, shift) => {
          fill(pages.bytes, list);
          kernel.setBlockName(new TextEncoder().encode(name));
          const expected = reference(pages.bytes, list.length, first, name, named);
          const from = out.at + shift;
          const end = kernel.encodeRun(pages.at, list.length, first, named, from);
          expect(end - from).toBe(expected.length);
          expect(Buffer.compare(kernel.bytes.subarray(from, end), expected)).toBe(0);
          expect(kernel.zeroCount).toBe(list.filter(({ value }) => value === 0).length);
          expect(pages.intact && out.intact).toBe(true);
        },
      ),
      { numRuns: 200 },
    ); // prettier-ignore
  });

  test("the record encoder names a block in front of its first run, and whatever record came before", () => {
    const kernel = open(ROOM);
    const pages = kernel.take(2 * PAGE);
    const out = kernel.take(runBytes(9));
    kernel.bytes[pages + PAGE] = 1;
    const one = kernel.bytes.subarray(pages + PAGE, pages + 2 * PAGE);
    const byRun = new RamPageEncoder();
    let end = byRun.putRun(kernel, pages, 0, "a", 0, out);
    end = byRun.putRun(kernel, pages, 2, "a", PAGE, end);
    end = byRun.putRun(kernel, pages, 1, "a", 2 ** 33, end);
    end = byRun.putRun(kernel, pages + PAGE, 1, "b", 0, end);
    end = byRun.putPage(kernel.bytes, end, "a", 0, one);
    end = byRun.putRun(kernel, pages, 1, "a", PAGE, end);
    const expected = written((w) => {
      const encoder = new RamPageEncoder();
      encoder.zeroPage(w, "a", PAGE);
      encoder.page(w, "a", 2 * PAGE, one);
      encoder.zeroPage(w, "a", 2 ** 33);
      encoder.page(w, "b", 0, one);
      encoder.page(w, "a", 0, one);
      encoder.zeroPage(w, "a", PAGE);
    });
    expect(Buffer.compare(kernel.bytes.subarray(out, end), expected)).toBe(0);
  });

  test("the longest run with the longest name fits the room that is said to do", () => {
    const kernel = open(ROOM);
    const pages = new Fenced(kernel, RUN * PAGE);
    const out = new Fenced(kernel, runBytes(RUN));
    pages.bytes.fill(1);
    kernel.setBlockName(new Uint8Array(255).fill(0x61));
    expect(kernel.encodeRun(pages.at, RUN, 0, true, out.at)).toBe(out.at + runBytes(RUN));
    expect(out.intact).toBe(true);
  });

  test("one byte that is not zero is found wherever it is", () => {
    const kernel = open(ROOM);
    const at = kernel.take(PAGE);
    expect(kernel.zeroPages(at, 1)).toBe(1);
    for (let n = 0; n < PAGE; n++) {
      kernel.bytes[at + n] = 0x80;
      if (kernel.zeroPages(at, 1) !== 0) throw new Error(`byte ${n} was not seen`);
      kernel.bytes[at + n] = 0;
    }
  });

  test("the pages of zeros are told by their numbers, up to the longest run", () => {
    const kernel = open(ROOM);
    const pages = new Fenced(kernel, RUN * PAGE);
    fc.assert(
      fc.property(fc.array(page, { minLength: RUN - 40, maxLength: RUN }), (list) => {
        fill(pages.bytes, list);
        const zeros = list.filter(({ value }) => value === 0).length;
        expect(kernel.zeroPages(pages.at, list.length)).toBe(zeros);
        expect(kernel.zeroCount).toBe(zeros);
        expect(list.map((_, n) => kernel.isZero(n))).toEqual(list.map(({ value }) => value === 0));
      }),
      { numRuns: 20 },
    );
    expect(kernel.zeroPages(pages.at, 0)).toBe(0);
  });

  test("places outside of the work memory are mistakes of the caller", () => {
    const kernel = open(ROOM);
    const pages = kernel.take(RUN * PAGE);
    const out = kernel.take(runBytes(RUN));
    const last = kernel.bytes.length;
    const mistakes: readonly (() => void)[] = [
      () => kernel.encodeRun(pages, RUN + 1, 0, false, out),
      () => kernel.encodeRun(pages + 4, 1, 0, false, out),
      () => kernel.encodeRun(0, 1, 0, false, out),
      () => kernel.encodeRun(pages, 1, 1, false, out),
      () => kernel.encodeRun(pages, 1, -PAGE, false, out),
      () => kernel.encodeRun(pages, 1, 2 ** 53, false, out),
      () => kernel.encodeRun(pages, 1, 0, false, last - PAGE),
      () => kernel.zeroPages(last - PAGE + 8, 1),
      () => kernel.countRun(last - 8, last + 1, 0, 1),
      () => kernel.countRun(out, out + 8, 0, -1),
      () => kernel.countRun(out, out - 1, 0, 1),
      () => kernel.countWords(last - 15, 2, 0),
      () => kernel.countWords(out, -1, 0),
      () => kernel.countWords(out, 1, 1),
      () => kernel.gatherRun(last - PAGE - WORD + 1, 1),
      () => kernel.applyDelta(out, 4, last - PAGE + 1),
      () => kernel.applyDelta(last - 3, 4, out),
      () => kernel.checkDelta(last - 3, 4),
      () => kernel.take(last),
      () => kernel.setBlockName(new Uint8Array(256)),
    ];
    for (const mistake of mistakes) expect(refusal(mistake).code).toBe("INTERNAL");
  });

  test("what is taken does not overlap, and begins at multiples of 64", () => {
    const kernel = open(ROOM);
    const places = [1, 64, 65, 4096].map((length) => kernel.take(length));
    expect(places.map((place, n) => place - (places[n - 1] ?? place))).toEqual([0, 64, 64, 128]);
    expect(places[0]! % 64).toBe(0);
  });
});

const BLOCKS = [{ name: "a", length: 2 ** 42 }];

/** What the record decoder makes of a run's records: the pages. */
function decoded(records: Uint8Array): readonly unknown[] {
  const head = written((w) => {
    encodeRamBlockList(w, BLOCKS);
    new RamPageEncoder().zeroPage(w, "a", 0);
  });
  const recorder = new RamRecorder();
  decodePayload([head, records], recorder);
  return recorder.events.slice(2);
}

describe.each(KERNELS)("reading, %s", (_name, open) => {
  const kernel = open(ROOM);
  const area = new Fenced(kernel, 16 * (WORD + PAGE));

  test("of words without their pages, those up to the first are counted that is none of a page that follows", () => {
    const kinds = fc.constantFrom("page", "page", "page", "zero", "filled", "other-offset", "named", "end");
    const list = fc.array(fc.record({ kind: kinds }), { maxLength: 6 });
    fc.assert(
      fc.property(list, offset, (records, first) => {
        area.bytes.fill(0xee);
        for (const [n, record] of records.entries()) {
          const word = recordsOf([record], first + n * PAGE).subarray(0, WORD);
          kernel.bytes.set(word, area.at + n * WORD);
        }
        const wrong = records.findIndex(({ kind }) => kind !== "page");
        const expected = wrong < 0 ? records.length : wrong;
        expect(kernel.countWords(area.at, records.length, first)).toBe(expected);
        expect(area.intact).toBe(true);
      }),
    );
  });

  /** Decodes one run. @returns what it stands for, as the record decoder tells it, and the bytes that it took. */
  function runOf(
    input: Uint8Array,
    first: number,
    most: number,
    shift = 0,
  ): { events: unknown[]; taken: number } {
    const at = area.at + shift;
    area.bytes.fill(0xee);
    kernel.bytes.set(input, at);
    const count = kernel.countRun(at, at + input.length, first, most);
    const zeros = count > 0 && (input[7]! & 0x02) !== 0;
    expect(Buffer.compare(kernel.bytes.subarray(at, at + input.length), input)).toBe(0);
    if (count > 0 && !zeros) expect(kernel.gatherRun(at, count)).toHaveLength(count * PAGE);
    const events = Array.from({ length: count }, (_, n) => {
      if (zeros) return { zero: [0, first + n * PAGE, 0] };
      const body = at + WORD + n * PAGE;
      return {
        page: [0, first + n * PAGE, Buffer.from(kernel.bytes.subarray(body, body + PAGE)).toString("hex")],
      };
    });
    expect(area.intact).toBe(true);
    // What follows the run is as it came.
    const taken = count * (zeros ? WORD + 1 : WORD + PAGE);
    expect(Buffer.compare(kernel.bytes.subarray(at + taken, at + input.length), input.subarray(taken))).toBe(
      0,
    );
    return { events, taken };
  }

  test("a run is what the record decoder makes of the same bytes", () => {
    const record = fc.record({
      kind: fc.constantFrom(
        "page",
        "page",
        "page",
        "zero",
        "zero",
        "zero",
        "filled",
        "other-offset",
        "named",
        "end",
      ),
    }) as fc.Arbitrary<TestRecord>;
    const start = fc.oneof(fc.nat(9), fc.constantFrom(2 ** 20 - 2, 2 ** 19 - 1)).map((n) => n * PAGE);
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 12 }),
        start,
        fc.nat(12),
        fc.nat(7),
        fc.nat(9000),
        (kinds, first, most, shift, cut) => {
          const all = recordsOf(kinds, first);
          const input = all.subarray(0, Math.max(0, all.length - (cut < 4500 ? 0 : cut - 4500)));
          const { events, taken } = runOf(input, first, most, shift);
          expect(events).toEqual(decoded(input.subarray(0, taken)));
          // The run is as long as it can be.
          const kind = kinds[0]?.kind;
          const same = kinds.findIndex((one) => one.kind !== kind);
          const longest = kind === "page" || kind === "zero" ? (same < 0 ? kinds.length : same) : 0;
          const bytes = kind === "zero" ? WORD + 1 : WORD + PAGE;
          expect(events).toHaveLength(Math.min(longest, most, Math.floor(input.length / bytes)));
        },
      ),
      { numRuns: 200 },
    );
  });

  test.each(["page", "zero"] as const)("of records of kind %s cut anywhere, those that are whole", (kind) => {
    const all = recordsOf(
      Array.from({ length: 3 }, () => ({ kind })),
      PAGE,
    );
    const each = all.length / 3;
    for (let cut = 0; cut <= all.length; cut++) {
      area.bytes.fill(0xee);
      kernel.bytes.set(all.subarray(0, cut), area.at);
      const count = kernel.countRun(area.at, area.at + cut, PAGE, 9);
      if (count !== Math.floor(cut / each)) throw new Error(`${count} records of ${cut} bytes`);
    }
  });

  test("a changed bit in any word ends the run there", () => {
    const all = recordsOf(
      Array.from({ length: 3 }, () => ({ kind: "page" as const })),
      2 ** 32 - PAGE,
    );
    for (let bit = 0; bit < 64; bit++) {
      const changed = all.slice();
      const at = 2 * (WORD + PAGE) + (bit >> 3);
      changed[at] = changed[at]! ^ (1 << (bit & 7));
      expect(runOf(changed, 2 ** 32 - PAGE, 3).events).toHaveLength(2);
    }
  });
});

test("both kernels make the same of the same bytes, whatever they are", () => {
  const kernels = KERNELS.map(([, open]) => open(ROOM));
  const parts = kernels.map((kernel) => new Fenced(kernel, 6 * PAGE));
  const records = recordsOf([{ kind: "page" }, { kind: "page" }, { kind: "zero" }, { kind: "zero" }], 0);
  const change = fc.record({ at: fc.nat(), by: fc.integer({ min: 1, max: 255 }) });
  const result = (kernel: PageKernel, part: Fenced, bytes: Uint8Array): unknown => {
    part.bytes.fill(0);
    kernel.bytes.set(bytes, part.at);
    const count = kernel.countRun(part.at, part.at + bytes.length, 0, 8);
    if (count > 0 && (bytes[7]! & 0x02) === 0) kernel.gatherRun(part.at, count);
    return [count, count > 0 ? Buffer.from(part.bytes.subarray(0, WORD + count * PAGE)).toString("hex") : ""];
  };
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 3 }),
      fc.constantFrom(0, 2 * (WORD + PAGE)),
      (changes, from) => {
        const bytes = records.slice(from);
        for (const { at, by } of changes) bytes[at % 20]! ^= by;
        const [first, second] = kernels.map((kernel, n) => result(kernel, parts[n]!, bytes));
        expect(second).toEqual(first);
      },
    ),
  );
});

test("a run can begin with what continues a block, and its offset is told", () => {
  const offsets = [0, PAGE, 2 ** 31, 2 ** 32 - PAGE, 2 ** 44 + PAGE, 2 ** 53 - PAGE];
  const words = (write: (encoder: RamPageEncoder, at: number) => number): number[] =>
    offsets.map((at) => write(new RamPageEncoder(), at));
  const bytes = new Uint8Array(2 * (WORD + PAGE) + 16);
  const one = new Uint8Array(PAGE);
  expect(
    words((encoder, at) => {
      const start = encoder.putZeroPage(bytes, 0, "a", 0);
      encoder.putPage(bytes, start, "a", at, one);
      return runOffset(bytes, start);
    }),
  ).toEqual(offsets);
  expect(
    words((encoder, at) => {
      const start = encoder.putZeroPage(bytes, 0, "a", 0);
      encoder.putZeroPage(bytes, start, "a", at);
      return runOffset(bytes, start);
    }),
  ).toEqual(offsets);
  expect(words((encoder, at) => (encoder.putPage(bytes, 0, "a", at, one), runOffset(bytes, 0)))).toEqual(
    offsets.map(() => -1),
  );
  expect(words((encoder) => (encoder.putEndOfSection(bytes, 0), runOffset(bytes, 0)))[0]).toBe(-1);
  bytes.fill(0xff, 0, 6);
  bytes.set([0x00, 0x28], 6);
  expect(runOffset(bytes, 0)).toBe(-1);
});
