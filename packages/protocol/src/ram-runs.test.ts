import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KERNELS } from "../test/kernels.ts";
import { decodePayload, RamRecorder } from "../test/ram-payload.ts";
import { fromHex, refusal, toHex, written } from "../test/support.ts";
import {
  ByteReader,
  DEFAULT_LIMITS,
  encodeRamBlockList,
  RamDecoder,
  RamPageEncoder,
  workMemoryBytes,
} from "./index.ts";
import type { ListedRamBlock, PageKernel } from "./index.ts";

const PAGE = 4096;
const BLOCKS: readonly ListedRamBlock[] = [
  { name: "pc.ram", length: 100 * PAGE },
  { name: "vga.vram", length: 3 * PAGE },
];

/** Takes runs as well, and writes their pages down as if they had come one by one. */
class RunRecorder extends RamRecorder {
  runs = 0;

  pageRun(block: number, offset: number, bytes: Uint8Array): void {
    this.runs++;
    for (let at = 0; at < bytes.length; at += PAGE)
      this.page(block, offset + at, bytes.subarray(at, at + PAGE));
  }

  zeroRun(block: number, offset: number, count: number): void {
    this.runs++;
    for (let n = 0; n < count; n++) this.zeroPage(block, offset + n * PAGE, 0);
  }
}

/** Takes some of the runs as the records that they came in. */
class RecordsTaker extends RunRecorder {
  taken = 0;
  readonly #kernel: PageKernel;

  constructor(kernel: PageKernel) {
    super();
    this.#kernel = kernel;
  }

  pageRecords(block: number, offset: number, count: number, at: number): boolean {
    if (count % 2 === 0) return false;
    this.taken++;
    this.pageRun(block, offset, this.#kernel.gatherRun(at, count));
    return true;
  }
}

/** Decodes a payload that comes piece by piece in a kernel's work memory, as a channel's read buffer would have it. */
function decodeInWorkMemory(
  kernel: PageKernel,
  at: number,
  payload: Uint8Array,
  cuts: readonly number[],
  sink: RunRecorder,
): boolean {
  const decoder = new RamDecoder({ limits: DEFAULT_LIMITS, sink, kernel });
  const reader = new ByteReader();
  let complete = false;
  for (const [n, from] of [0, ...cuts].entries()) {
    const to = cuts[n] ?? payload.length;
    kernel.bytes.set(payload.subarray(from, to), at);
    reader.push(kernel.bytes.subarray(at, at + to - from));
    complete ||= decoder.decode(reader);
    reader.detach();
  }
  return complete && reader.available === 0;
}

type RecordPlan = readonly [kind: "page" | "zero" | "filled" | "delta", block: 0 | 1, page: number];

function payloadOf(plans: readonly RecordPlan[]): Uint8Array {
  return written((w) => {
    const encoder = new RamPageEncoder();
    encodeRamBlockList(w, BLOCKS);
    for (const [n, [kind, block, page]] of plans.entries()) {
      const { name } = BLOCKS[block]!;
      if (kind === "page") encoder.page(w, name, page * PAGE, new Uint8Array(PAGE).fill(n + 1));
      else if (kind === "delta") encoder.delta(w, name, page * PAGE, fromHex("0001aa"));
      else encoder.zeroPage(w, name, page * PAGE, kind === "zero" ? 0 : 7);
    }
    encoder.endOfSection(w);
  });
}

/** Stretches of pages that follow each other, with single records of every kind between them. */
const plans: fc.Arbitrary<readonly RecordPlan[]> = fc
  .array(
    fc.record({
      kind: fc.constantFrom("page", "zero", "filled", "delta"),
      block: fc.constantFrom(0, 1),
      first: fc.nat({ max: 99 }),
      count: fc.integer({ min: 1, max: 80 }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((stretches) =>
    stretches.flatMap(({ kind, block, first, count }) => {
      const pages = BLOCKS[block]!.length / PAGE;
      const from = first % pages;
      return Array.from({ length: Math.min(count, pages - from) }, (_, n): RecordPlan => [
        kind,
        block,
        from + n,
      ]);
    }),
  );

describe.each(KERNELS)("runs of records in the work memory of the kernel in %s", (_, open) => {
  const longest = 700 * (PAGE + 300);
  const kernel = open(workMemoryBytes([longest]));
  const at = kernel.take(longest);

  test("give what the records one by one give, wherever the input is cut", () => {
    fc.assert(
      fc.property(plans, fc.array(fc.nat(), { maxLength: 6 }), (records, places) => {
        const payload = payloadOf(records);
        const cuts = places.map((place) => place % payload.length).sort((a, b) => a - b);
        const expected = new RamRecorder();
        expect(decodePayload([payload], expected)).toBe(true);
        for (const sink of [new RunRecorder(), new RecordsTaker(kernel)]) {
          expect(decodeInWorkMemory(kernel, at, payload, cuts, sink)).toBe(true);
          expect(sink.events).toEqual(expected.events);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("are offered as they came to a sink that can take them from there", () => {
    const payload = payloadOf([0, 1, 2, 3].map((n) => ["page", 0, n]));
    const sink = new RecordsTaker(kernel);
    expect(decodeInWorkMemory(kernel, at, payload, [], sink)).toBe(true);
    // The first record names the block; three continue it.
    expect(sink.taken).toBe(1);
  });

  test("are read at every place where the input can be cut", () => {
    const payload = payloadOf([
      ["page", 0, 3],
      ["page", 0, 4],
      ["page", 0, 5],
      ["zero", 0, 6],
      ["zero", 0, 7],
      ["zero", 1, 2],
    ]);
    const expected = new RamRecorder();
    decodePayload([payload], expected);
    for (let cut = 0; cut <= payload.length; cut++) {
      const sink = new RunRecorder();
      expect(decodeInWorkMemory(kernel, at, payload, [cut], sink)).toBe(true);
      expect(sink.events).toEqual(expected.events);
    }
  });

  test("are taken as runs", () => {
    const sink = new RunRecorder();
    const pages = Array.from({ length: 50 }, (_page, n): RecordPlan => ["page", 0, n]);
    decodeInWorkMemory(kernel, at, payloadOf(pages), [], sink);
    // The first record names its block, which makes it one of its own.
    expect(sink.runs).toBe(1);
    expect(sink.events).toHaveLength(51);
    expect(toHex(sink.pages.get(`0:${49 * PAGE}`)!)).toBe("32".repeat(PAGE));
  });

  test("end at the end of their block, where the fault is told as ever", () => {
    const payload = written((w) => {
      const encoder = new RamPageEncoder();
      encodeRamBlockList(w, BLOCKS);
      for (let page = 0; page < 4; page++)
        encoder.page(w, "vga.vram", page * PAGE, new Uint8Array(PAGE).fill(1));
    });
    const sink = new RunRecorder();
    const error = refusal(() => decodeInWorkMemory(kernel, at, payload, [], sink));
    expect(error.message).toContain("Illegal RAM offset 3000");
    expect(error).toEqual(refusal(() => decodePayload([payload], new RamRecorder())));
    expect(sink.events).toHaveLength(4);
  });
});
