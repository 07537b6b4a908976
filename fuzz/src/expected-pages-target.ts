import { DEFAULT_LIMITS, openPageKernel, RamPageEncoder, workMemoryBytes } from "@peregrine/protocol";
import type { Limits } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { TestRamData } from "@peregrine/shared-state/testing";
import * as fc from "fast-check";
import { EXPECTED_PARTS } from "../../packages/dest-agent/src/expected-pages.ts";
import { ArrivingBytes } from "../../packages/dest-agent/test/arriving-bytes.ts";
import { FreshRam } from "../../packages/dest-agent/test/fresh-ram.ts";
import { feed } from "../../packages/dest-agent/test/in-process.ts";
import type { Fed } from "../../packages/dest-agent/test/in-process.ts";
import { destination, memoryOf, stoppedSource } from "../../packages/dest-agent/test/machines.ts";
import { ramPart, TestStream } from "../../packages/dest-agent/test/stream-maker.ts";
import { mutate, mutations } from "../../packages/protocol/fuzz/mutation.ts";
import type { Sample } from "../../packages/protocol/fuzz/mutation.ts";
import { require } from "../../packages/protocol/fuzz/oracle.ts";

const MIB = 2 ** 20;
const LIMITS: Limits = { ...DEFAULT_LIMITS, maxItemBytes: 2 * MIB, maxRamBytes: 64 * MIB };
/** Milliseconds. */
const PATIENCE = { description: 1, undivided: 1, stall: 2 };

/** More are expected behind 256 pages that come one after the other. */
const PAGES = 400;

/** A source that waits for no answer, of which most of the memory comes page by page. */
async function sampleOf(): Promise<Sample> {
  const name = "test.ram";
  const { machine } = await stoppedSource({ blocks: [{ name, pages: PAGES, used: PAGES }], hotPages: 2 });
  const encoder = new RamPageEncoder();
  const records: number[] = [];
  const part = ramPart("part", (w) => {
    for (let n = 0; n < PAGES; n++) {
      records.push(w.length);
      encoder.page(w, name, n * PAGE_SIZE, new Uint8Array(PAGE_SIZE).fill(n + 1));
    }
  });
  const stream = ["open-return-path", "ping-1", "ping-2"]
    .reduce((rest, piece) => rest.without(piece), await TestStream.of(machine))
    .with("ram-part", part);
  const from = stream.offsetOf("ram-part");
  const ends = [[0], records.map((at) => from + at), [from + part.length], [stream.bytes.length]];
  return { name: "dense memory", bytes: stream.bytes, ends };
}

function loadArriving(bytes: Uint8Array, sizes: readonly number[]): Promise<Fed> {
  const guest = destination();
  const openRam = async () => {
    const access = guest.machine.ram();
    return { ram: new FreshRam(access.data as TestRamData), access };
  };
  const kernel = openPageKernel(workMemoryBytes(Object.values(EXPECTED_PARTS)));
  const arriving = { bytes: new ArrivingBytes(bytes, sizes, MIB / 2, false), kernel };
  return feed({ chunks: [], arriving, guest, target: { openRam }, limits: LIMITS, patience: PATIENCE });
}

function outcomeOf({ error, committed }: Fed): string {
  if (error === undefined) return `loaded, ${committed}`;
  // How much was on hand is another matter where the chunks are others.
  return error.code === "LIMIT_EXCEEDED" ? error.code : `${error.message}, at ${error.offset}`;
}

/** Whatever comes among pages that are read to where they are expected, nothing is another than when it comes in chunks. */
export async function expectedPagesProperty(): Promise<fc.IAsyncPropertyWithHooks<unknown>> {
  const sample = await sampleOf();
  const sizes = fc.array(fc.integer({ min: 1000, max: MIB }), { minLength: 1, maxLength: 6 });
  return fc.asyncProperty(mutations, sizes, async (changes, all) => {
    const bytes = mutate(sample, changes, [sample]);
    const expected = await feed({ chunks: [bytes], limits: LIMITS, patience: PATIENCE });
    const fed = await loadArriving(bytes, all);
    require(outcomeOf(fed) ===
      outcomeOf(expected), `read: ${outcomeOf(fed)}; in chunks: ${outcomeOf(expected)}`);
    if (fed.error !== undefined) return;
    const [memory, other] = [fed, expected].map(({ guest }) => memoryOf(guest.machine.guest.ram));
    require(memory!.every((block, n) => Buffer.compare(block, other![n]!) === 0), "another memory");
  });
}
