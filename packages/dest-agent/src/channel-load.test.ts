import {
  encodeMultifdInit,
  encodeMultifdPages,
  MigrationError,
  MULTIFD_HEADER_BYTES,
} from "@peregrine/protocol";
import type { PageRun } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import { newTestRam } from "@peregrine/shared-state/testing";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ArrivingBytes } from "../test/arriving-bytes.ts";
import { FreshRam } from "../test/fresh-ram.ts";
import { bytesOf } from "../test/stream-maker.ts";
import { Turns } from "../test/turns.ts";
import { ChannelLoad } from "./channel-load.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { IncomingStatistics } from "./incoming-statistics.ts";
import type { PlacedBlock } from "./ram-loader.ts";

const PAGES = 300;
const BLOCKS = ["a", "b"].map((name) => ({ name, length: PAGES * PAGE_SIZE }));
/** The list of the stream has them in another order. */
const LISTED: readonly PlacedBlock[] = [1, 0].map((index) => ({ ...BLOCKS[index]!, index }));
const RAM_MODULE = new URL("../test/fresh-ram.ts", import.meta.url).href;

interface Packet {
  readonly block: string;
  readonly runs: readonly PageRun[];
  readonly zero: boolean;
}

/** A channel: its first sync, packets, another sync. */
function channelOf(packets: readonly Packet[], block = "a"): Uint8Array {
  return bytesOf((w) => {
    const none = {
      kind: "pages",
      compression: "none",
      sync: true,
      runs: [],
      zeroRuns: [],
      payloadBytes: 0,
    } as const;
    encodeMultifdInit(w, { uuid: new Uint8Array(16), channel: 0 });
    encodeMultifdPages(w, "9.0", { ...none, packetNumber: 0, block: "" });
    for (const [n, { runs, zero, block: of }] of packets.entries()) {
      const pages = zero ? 0 : runs.reduce((sum, run) => sum + run.pages, 0);
      const named = zero ? { zeroRuns: runs } : { runs };
      const payloadBytes = pages * PAGE_SIZE;
      encodeMultifdPages(w, "9.0", {
        ...none,
        ...named,
        sync: false,
        packetNumber: n + 1,
        block: of,
        payloadBytes,
      });
      w.bytes(Uint8Array.from({ length: payloadBytes }, (_, at) => n * 37 + at * 7 + (at >> 8)));
    }
    encodeMultifdPages(w, "9.0", { ...none, packetNumber: packets.length + 1, block: "" });
    if (block !== "a")
      encodeMultifdPages(w, "9.0", {
        ...none,
        runs: [{ offset: 0, pages: 1 }],
        payloadBytes: PAGE_SIZE,
        packetNumber: 0,
        block,
      });
  });
}

interface Loaded {
  readonly memory: readonly Buffer[];
  readonly progress: object;
  readonly syncs: number;
  readonly error: unknown;
}

/** @param complete with which of its syncs all of memory has come. */
async function load(chunks: ChunkReader, scattering?: ArrivingBytes, complete = Infinity): Promise<Loaded> {
  const memoryComplete = new SharedArrayBuffer(4);
  const data = newTestRam(BLOCKS, true);
  const statistics = new IncomingStatistics();
  let syncs = 0;
  const goOn = async (): Promise<void> => {
    if (syncs++ === 0) await loading.open({ module: RAM_MODULE, data }, LISTED);
    if (syncs === complete) new Int32Array(memoryComplete)[0] = 1;
    loading.goOn();
  };
  const loading: ChannelLoad = new ChannelLoad({
    statistics,
    memoryComplete,
    tell: ({ kind }) => {
      if (kind === "sync") void goOn();
    },
  });
  const error: unknown = await loading.run(chunks, scattering).catch((one: unknown) => one);
  const ram = new FreshRam(data);
  const { pages, zeroPages, bytes } = statistics.progress();
  return {
    memory: BLOCKS.map((_, block) => Buffer.from(ram.memory(block))),
    progress: { pages, zeroPages, bytes },
    syncs,
    error,
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}

function arrive(bytes: Uint8Array, sizes: readonly number[], most: number): [ChunkReader, ArrivingBytes] {
  const arriving = new ArrivingBytes(bytes, sizes, most, false);
  return [new ChunkReader(arriving.chunks(), arriving), arriving];
}

const runs = fc
  .array(fc.record({ page: fc.nat(PAGES - 40), pages: fc.integer({ min: 1, max: 40 }) }), {
    minLength: 1,
    maxLength: 3,
  })
  .map((list) => list.map(({ page, pages }): PageRun => ({ offset: page * PAGE_SIZE, pages })));
const packets = fc.array(
  fc.record({ block: fc.constantFrom("a", "b"), runs, zero: fc.nat(5).map((n) => n === 0) }),
  { maxLength: 6 },
);
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 1, max: 500_000 })), {
  minLength: 1,
  maxLength: 6,
});

test("pages that are read to where they belong leave what they leave when they come in chunks", async () => {
  let scattered = 0;
  await fc.assert(
    fc.asyncProperty(packets, sizes, fc.integer({ min: 1000, max: 400_000 }), async (list, all, most) => {
      const bytes = channelOf(list);
      const whole = await load(new ChunkReader(once(bytes)));
      const [chunks, arriving] = arrive(bytes, all, most);
      const loaded = await load(chunks, arriving);
      expect([whole.error, loaded.error]).toEqual([undefined, undefined]);
      expect(loaded.memory.map((memory, n) => memory.equals(whole.memory[n]!))).toEqual([true, true]);
      expect({ ...loaded, memory: [] }).toEqual({ ...whole, memory: [] });
      scattered += arriving.scattered;
    }),
  );
  expect(scattered).toBeGreaterThan(10 * 2 ** 20);
});

test("nearly all of what comes fast is read to where it belongs", async () => {
  const list = Array.from({ length: 40 }, (_, n): Packet => {
    return { block: "b", runs: [{ offset: (n % 2) * 128 * PAGE_SIZE, pages: 128 }], zero: false };
  });
  const bytes = channelOf(list);
  const [chunks, arriving] = arrive(bytes, [200_000], 100_000);
  expect((await load(chunks, arriving)).error).toBeUndefined();
  expect(arriving.scattered / bytes.length).toBeGreaterThan(0.9);
});

test("a channel whose source never pauses leaves others their turns", async () => {
  const packet: Packet = { block: "b", runs: [{ offset: 0, pages: 1 }], zero: false };
  const beginning = channelOf([]);
  const more = channelOf([packet]).subarray(beginning.length - MULTIFD_HEADER_BYTES, -MULTIFD_HEADER_BYTES);
  const turns = new Turns();
  const pass = async (take: (chunk: Uint8Array) => boolean): Promise<void> => {
    while (turns.goesOn && take(more));
  };
  const chunks = async function* (): AsyncGenerator<Uint8Array, void, void> {
    yield beginning;
    while (turns.goesOn) yield more;
  };
  const loaded = await load(new ChunkReader(chunks(), { pass }));
  expect(loaded.error).toBeUndefined();
  turns.expectEnough();
});

test("a channel that ends in a page, or names what is not there, is refused as when it comes in chunks", async () => {
  const packet: Packet = { block: "a", runs: [{ offset: 0, pages: 128 }], zero: false };
  const bytes = channelOf([packet, packet]);
  const wrong = channelOf([packet, packet], "c");
  for (const broken of [bytes.slice(0, 300_000), bytes.slice(0, 600_001), bytes.slice(0, -1), wrong]) {
    const whole = await load(new ChunkReader(once(broken)));
    const loaded = await load(...arrive(broken, [70_000], 50_000));
    expect(MigrationError.is(whole.error)).toBe(true);
    expect(loaded.error).toMatchObject({ ...(whole.error as MigrationError).serialize() });
  }
});

test("pages behind the end of the memory are refused, and written nowhere", async () => {
  const packet: Packet = { block: "a", runs: [{ offset: 0, pages: 128 }], zero: false };
  for (const scattered of [false, true]) {
    const bytes = channelOf([packet]);
    const [chunks, arriving] = arrive(bytes, [70_000], 50_000);
    const loaded = await load(chunks, scattered ? arriving : undefined, 1);
    expect(loaded.error).toMatchObject({ code: "BAD_PACKET", offset: 64 + 1344 });
    expect(loaded.memory[0]!.every((byte) => byte === 0)).toBe(true);
  }
});
