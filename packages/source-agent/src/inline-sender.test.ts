import { ByteWriter, HEAD_BYTES, MAX_KERNEL_RUN, RamPageEncoder } from "@peregrine/protocol";
import {
  DirtyBitmap,
  MigrationCapabilities,
  MigrationParameters,
  MigrationStatistics,
  PAGE_SIZE,
  PageMap,
} from "@peregrine/shared-state";
import type { GuestRam } from "@peregrine/shared-state";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InlineSender } from "./inline-sender.ts";
import { OutgoingStream } from "./outgoing-stream.ts";
import { FakeChannel } from "./testing/fake-channel.ts";
import { GatheringChannel } from "./testing/gathering-channel.ts";

const MiB = 1 << 20;
const PAGES = 1600;

/** Two RAM blocks whose pages are read where they are. */
function placedRam(): { readonly ram: GuestRam; readonly bytes: readonly Uint8Array[] } {
  const wasmPages = (PAGES * PAGE_SIZE) / 65536;
  const memory = (initial: number): WebAssembly.Memory =>
    new WebAssembly.Memory({ initial, maximum: initial, shared: true });
  const blocks = ["a", "b"].map((name) => ({ name, memory: memory(wasmPages), heads: memory(1) }));
  const ram = {
    blocks: blocks.map(({ name }) => ({ name, length: PAGES * PAGE_SIZE })),
    inPlace: (block: number) => ({
      memory: blocks[block]!.memory,
      heads: { memory: blocks[block]!.heads, at: 0 },
      reading: () => {},
      writing: () => {},
    }),
  };
  return {
    ram: ram as unknown as GuestRam,
    bytes: blocks.map(({ memory: { buffer } }) => new Uint8Array(buffer)),
  };
}

async function open(ram: GuestRam, channel: FakeChannel, limit = 0) {
  const parameters = new MigrationParameters();
  parameters.setSpeed(limit);
  const statistics = new MigrationStatistics();
  const gathering = channel instanceof GatheringChannel ? await channel.gathering() : undefined;
  const clock = { now: 0 };
  const now = (): number => clock.now;
  const stream = new OutgoingStream(channel, parameters, statistics, now, gathering);
  const capabilities = new MigrationCapabilities().states;
  const map = new PageMap(ram.blocks);
  const sender = new InlineSender({ ram, map, stream, capabilities, parameters, statistics, now });
  return { sender, stream, statistics, map };
}

/** A part of a stream: bytes of its own, or pages that are dirty. */
const part = fc.oneof(
  fc.record({ kind: fc.constant("bytes" as const), length: fc.nat(5000) }),
  fc.record({
    kind: fc.constant("pages" as const),
    block: fc.constantFrom(0, 1),
    page: fc.nat(PAGES - 1),
    count: fc.integer({ min: 1, max: PAGES }),
  }),
);

describe("pages that are read where they are", () => {
  test("go out the same whether the channel gathers them or they are copied", async () => {
    const { ram, bytes } = placedRam();
    for (const [block, memory] of bytes.entries()) {
      for (let page = 0; page < PAGES; page++) {
        if ((page + block) % 7 < 2) continue;
        memory.fill((page % 251) + 1, page * PAGE_SIZE + (page % 3) * 100, (page + 1) * PAGE_SIZE);
      }
    }
    let gatheredWrites = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 8 }), fc.constantFrom(0, MiB), async (parts, limit) => {
        const channels = [new FakeChannel(), new GatheringChannel()] as const;
        const sent = [];
        for (const channel of channels) {
          const { sender, stream, statistics } = await open(ram, channel, limit);
          for (const one of parts) {
            if (one.kind === "bytes") {
              await stream.append(new Uint8Array(one.length).fill(0x55));
              continue;
            }
            const end = Math.min(one.page + one.count, PAGES);
            for (let page = one.page; page < end;) {
              const count = Math.min(sender.runPages, end - page);
              await sender.run(one.block, page, count);
              page += count;
            }
          }
          await stream.flush();
          const { transferred, normal, duplicate } = statistics;
          sent.push({ bytes: Buffer.concat(channel.written), transferred, normal, duplicate });
          expect(transferred).toBe(channel.bytesWritten);
          expect(channel.mostPendingWrites).toBeLessThanOrEqual(1);
        }
        gatheredWrites += channels[1].gathered;
        const [copied, gathered] = sent;
        expect(Buffer.compare(gathered!.bytes, copied!.bytes)).toBe(0);
        expect({ ...gathered, bytes: 0 }).toEqual({ ...copied, bytes: 0 });
      }),
      { numRuns: 40 },
    );
    expect(gatheredWrites).toBeGreaterThan(20);
  });

  const stretches = fc.array(
    fc.record({ zero: fc.boolean(), count: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.nat(PAGES)) }),
    { maxLength: 12 },
  );

  test("go out one by one, as their records say, however many zeros are among them and whatever the limit", async () => {
    let longest = 0;
    await fc.assert(
      fc.asyncProperty(stretches, fc.constantFrom(0, MiB), fc.boolean(), async (list, limit, gathers) => {
        const { ram, bytes } = placedRam();
        const zeros: boolean[] = list.flatMap(({ zero, count }) => Array.from({ length: count }, () => zero));
        const count = Math.min(zeros.length, PAGES);
        const expected = new ByteWriter();
        const encoder = new RamPageEncoder();
        for (let page = 0; page < count; page++) {
          const memory = bytes[0]!.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
          if (!zeros[page]) memory[(page * 37) % PAGE_SIZE] = 1;
          if (zeros[page]) encoder.zeroPage(expected, "a", page * PAGE_SIZE);
          else encoder.page(expected, "a", page * PAGE_SIZE, memory);
        }
        const channel = gathers ? new GatheringChannel() : new FakeChannel();
        const { sender, stream, statistics, map } = await open(ram, channel, limit);
        for (let page = 0; page < count;) {
          const run = Math.min(sender.runPages, count - page);
          expect(run).toBeGreaterThan(0);
          if (limit > 0) expect(run * PAGE_SIZE).toBeLessThan(stream.chunkBytes + PAGE_SIZE);
          longest = Math.max(longest, run);
          map.markSent(0, page, run);
          await sender.run(0, page, run);
          page += run;
        }
        await stream.flush();
        expect(Buffer.compare(Buffer.concat(channel.written), expected.view())).toBe(0);
        const duplicate = zeros.slice(0, count).filter(Boolean).length;
        expect(statistics.duplicate).toBe(duplicate);
        expect(statistics.normal).toBe(count - duplicate);
        const marked = new DirtyBitmap(PAGES, map.access.blocks[0]!.zero);
        expect(Array.from({ length: count }, (_, page) => marked.test(page))).toEqual(zeros.slice(0, count));
      }),
      { numRuns: 40 },
    );
    // What follows zeros is taken to be zeros.
    expect(longest).toBeGreaterThan(MAX_KERNEL_RUN);
  });

  test("are read as late as they are written, but for their heads: those go out as they are kept", async () => {
    const { ram, bytes } = placedRam();
    const gate = Promise.withResolvers<void>();
    const channel = new GatheringChannel({ hold: () => gate.promise });
    const { sender, stream } = await open(ram, channel);
    bytes[0]!.fill(1, 0, PAGE_SIZE);
    await sender.run(0, 0, 1);
    const flushed = stream.flush();
    bytes[0]!.fill(2, 0, PAGE_SIZE);
    gate.resolve();
    await flushed;
    const page = Buffer.concat(channel.written).subarray(-PAGE_SIZE);
    expect(page.subarray(0, HEAD_BYTES).every((byte) => byte === 1)).toBe(true);
    expect(page.subarray(HEAD_BYTES).every((byte) => byte === 2)).toBe(true);
    const heads = new Uint8Array(ram.inPlace!(0)!.heads.memory.buffer, 0, HEAD_BYTES);
    expect(Buffer.compare(heads, page.subarray(0, HEAD_BYTES))).toBe(0);
  });
});
