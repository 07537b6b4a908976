import {
  encodeFooter,
  encodeSectionContinuation,
  RamPageEncoder,
  TypeScriptPageKernel,
  WasmPageKernel,
  workMemoryBytes,
} from "@peregrine/protocol";
import type { ByteWriter, PageKernel } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { TestRamData } from "@peregrine/shared-state/testing";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { ArrivingBytes } from "../test/arriving-bytes.ts";
import { FreshRam } from "../test/fresh-ram.ts";
import { feed, keptOpen } from "../test/in-process.ts";
import type { Fed } from "../test/in-process.ts";
import { destination, memoryOf, stoppedSource } from "../test/machines.ts";
import { bytesOf, RAM_ID, ramPart, TestStream } from "../test/stream-maker.ts";
import { EXPECTED_PARTS } from "./expected-pages.ts";

const BLOCK = "test.ram";
const PAGES = 1600;
/** From so many pages on, one behind the other, more are expected. */
const DENSE = 256;

const KERNELS: readonly (readonly [string, () => PageKernel])[] = [
  ["typescript", () => new TypeScriptPageKernel(workMemoryBytes(Object.values(EXPECTED_PARTS)))],
  ["wasm", () => new WasmPageKernel(workMemoryBytes(Object.values(EXPECTED_PARTS)))],
];

let stream: TestStream;

beforeAll(async () => {
  const blocks = [
    { name: BLOCK, pages: PAGES, used: PAGES },
    { name: "test.rom", pages: 1, used: 1 },
  ];
  const { machine } = await stoppedSource({ blocks, hotPages: 2 });
  stream = await TestStream.of(machine);
});

/** What memory is sent as, from its first page on. */
type Stretch =
  | { readonly kind: "pages" | "zeros" | "left-out"; readonly count: number }
  /** Pages that came before come once more, from so many pages back on. */
  | { readonly kind: "again"; readonly count: number }
  | { readonly kind: "other-block" }
  | { readonly kind: "section" };

function put(w: ByteWriter, stretches: readonly Stretch[]): void {
  const encoder = new RamPageEncoder();
  let page = 0;
  let seed = 1;
  const next = (): Uint8Array => {
    seed++;
    return Uint8Array.from({ length: PAGE_SIZE }, (_, at) => seed * 31 + at * 7 + (at >> 8));
  };
  for (const stretch of stretches) {
    if (stretch.kind === "section") {
      encoder.endOfSection(w);
      encodeFooter(w, RAM_ID);
      encodeSectionContinuation(w, { kind: "part", id: RAM_ID });
      continue;
    }
    if (stretch.kind === "other-block") {
      encoder.page(w, "test.rom", 0, next());
      continue;
    }
    const from = stretch.kind === "again" ? Math.max(page - stretch.count, 0) : page;
    const end = Math.min(from + stretch.count, PAGES);
    for (let at = from; at < end; at++) {
      if (stretch.kind === "zeros") encoder.zeroPage(w, BLOCK, at * PAGE_SIZE);
      else if (stretch.kind !== "left-out") encoder.page(w, BLOCK, at * PAGE_SIZE, next());
    }
    page = end;
  }
}

function streamOf(stretches: readonly Stretch[]): Uint8Array {
  return stream.with(
    "ram-part",
    ramPart("part", (w) => put(w, stretches)),
  ).bytes;
}

function loadArriving(bytes: ArrivingBytes, kernel: PageKernel): Promise<Fed> {
  const guest = destination();
  const openRam = async () => {
    const access = guest.machine.ram();
    return { ram: new FreshRam(access.data as TestRamData), access };
  };
  return feed({ chunks: [], arriving: { bytes, kernel }, guest, target: { openRam } });
}

const loadInChunks = (bytes: Uint8Array): Promise<Fed> => feed({ chunks: keptOpen(bytes) });

const some = fc.integer({ min: 1, max: 40 });
const stretch: fc.Arbitrary<Stretch> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("pages" as const),
      count: fc.integer({ min: DENSE, max: 700 }),
    }),
  },
  fc.record({
    kind: fc.constantFrom("pages" as const, "zeros" as const, "left-out" as const, "again" as const),
    count: some,
  }),
  fc.constant({ kind: "other-block" as const }),
  fc.constant({ kind: "section" as const }),
);
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 1, max: 3_000_000 })), {
  minLength: 1,
  maxLength: 8,
});
const mostChunk = fc.integer({ min: 1000, max: 2_000_000 });

describe.each(KERNELS)("pages that are read to where they are expected, %s", (_name, open) => {
  test("leave what they leave when they come in chunks, whatever else comes among them", async () => {
    let scattered = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(stretch, { maxLength: 8 }),
        sizes,
        mostChunk,
        async (stretches, all, most) => {
          const bytes = streamOf(stretches);
          const arriving = new ArrivingBytes(bytes, all, most);
          const [plain, fed] = [await loadInChunks(bytes), await loadArriving(arriving, open())];
          expect(fed.error).toBeUndefined();
          expect(fed.sent).toEqual(plain.sent);
          const [expected, memory] = [plain, fed].map(({ guest }) => memoryOf(guest.machine.guest.ram));
          expect(memory!.map((block, n) => Buffer.compare(block, expected![n]!))).toEqual([0, 0]);
          const { pages, zeroPages, bytes: received } = fed.statistics.progress();
          expect({ pages, zeroPages, bytes: received }).toEqual(
            pick(plain.statistics.progress(), "pages", "zeroPages", "bytes"),
          );
          scattered += arriving.scattered;
        },
      ),
      { numRuns: 25 },
    );
    expect(scattered).toBeGreaterThan(0);
  });

  test("most of them are, when nothing else comes", async () => {
    const bytes = streamOf([{ kind: "pages", count: PAGES }]);
    const arriving = new ArrivingBytes(bytes, [300_000], 2_000_000);
    expect((await loadArriving(arriving, open())).error).toBeUndefined();
    expect(arriving.scattered).toBeGreaterThan(0.7 * PAGES * PAGE_SIZE);
  });

  test("are not waited for when something else has begun to come", async () => {
    const stretches: readonly Stretch[] = [{ kind: "pages", count: 700 }, { kind: "section" }];
    const bytes = streamOf(stretches);
    const part = bytesOf((w) => put(w, stretches));
    const end = Buffer.from(bytes).indexOf(part.subarray(0, 100)) + part.length;
    const arriving = new ArrivingBytes(bytes, [end, bytes.length], 1_000_000);
    expect((await loadArriving(arriving, open())).error).toBeUndefined();
    expect(arriving.scattered).toBeGreaterThan(100 * PAGE_SIZE);
    expect(arriving.inVain).toBe(0);
  });

  test("none is that may have been written to", async () => {
    const arriving = new ArrivingBytes(
      streamOf([
        { kind: "pages", count: 200 },
        { kind: "again", count: 200 },
        { kind: "again", count: 200 },
        { kind: "again", count: 200 },
      ]),
      [300_000],
      2_000_000,
    );
    expect((await loadArriving(arriving, open())).error).toBeUndefined();
    expect(arriving.scattered).toBe(0);
  });

  test("a stream that ends among them is refused as one in chunks, with the same place", async () => {
    const whole = streamOf([
      { kind: "pages", count: 700 },
      { kind: "section" },
      { kind: "pages", count: 700 },
    ]);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1_200_000, max: 5_700_000 }), sizes, async (length, all) => {
        const bytes = whole.subarray(0, length);
        const plain = await feed({ chunks: [bytes] });
        const fed = await loadArriving(new ArrivingBytes(bytes, all, 2_000_000, false), open());
        expect(plain.error?.code).toBe("TRUNCATED");
        expect(fed.error?.serialize()).toEqual(plain.error?.serialize());
      }),
      { numRuns: 20 },
    );
  });

  test("a fault among them is told as of one in chunks, with the same place", async () => {
    const before = bytesOf((w) => put(w, [{ kind: "pages", count: 500 }]));
    const bytes = streamOf([{ kind: "pages", count: 1000 }]);
    // The flags of one of the records.
    const records = Buffer.from(bytes).indexOf(before.subarray(0, 100));
    bytes[records + before.length + 7] = 0x01;
    const plain = await loadInChunks(bytes);
    const fed = await loadArriving(new ArrivingBytes(bytes, [400_000], 2_000_000), open());
    expect(plain.error?.code).toBeDefined();
    expect(fed.error?.serialize()).toEqual(plain.error?.serialize());
  });
});

function pick<T, K extends keyof T>(from: T, ...keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>;
}
