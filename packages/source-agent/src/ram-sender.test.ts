import {
  DEFAULT_LIMITS,
  encodeConfiguration,
  encodeHeader,
  ByteWriter,
  RamDecoder,
  StreamDecoder,
} from "@peregrine/protocol";
import { MigrationParameters, MigrationStatistics, PAGE_SIZE } from "@peregrine/shared-state";
import { openRam, TestMachine } from "@peregrine/shared-state/testing";
import type { TestRam } from "@peregrine/shared-state/testing";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InlineSender } from "./inline-sender.ts";
import { OutgoingStream } from "./outgoing-stream.ts";
import { RamSender } from "./ram-sender.ts";
import { SectionWriter } from "./section-writer.ts";
import { FakeChannel } from "./testing/fake-channel.ts";

const BLOCKS = [
  { name: "a", pages: 300, used: 150 },
  { name: "b", pages: 40, used: 40 },
];

interface Fixture {
  readonly ram: TestRam;
  readonly sender: RamSender;
  readonly statistics: MigrationStatistics;
  readonly passes: number[];
  readonly clock: { now: number };
  /** Guest memory as the stream so far has it. */
  readonly received: () => Promise<{
    memory: Uint8Array[];
    pages: number;
    zeroPages: number;
    kinds: string[];
  }>;
}

async function make(limit = 0): Promise<Fixture> {
  const machine = TestMachine.source({ blocks: BLOCKS });
  await machine.startDirtyLog();
  const ram = openRam(machine.ram().data);
  const channel = new FakeChannel();
  const statistics = new MigrationStatistics();
  const parameters = new MigrationParameters();
  parameters.setSpeed(limit);
  const clock = { now: 0 };
  const now = (): number => clock.now;
  const stream = new OutgoingStream(channel, parameters, statistics, now);
  const passes: number[] = [];
  const onPass = (pass: number): void => void passes.push(pass);
  const writer = new SectionWriter(stream, true);
  const pages = new InlineSender({ ram, stream, statistics });
  const sender = new RamSender({ ram, pages, stream, writer, statistics, now, onPass });
  return {
    ram,
    sender,
    statistics,
    passes,
    clock,
    received: async () => {
      await stream.flush();
      return decode(channel.written);
    },
  };
}

function decode(chunks: readonly Uint8Array[]) {
  const result = { memory: [] as Uint8Array[], pages: 0, zeroPages: 0, kinds: [] as string[] };
  const ram = new RamDecoder({
    limits: DEFAULT_LIMITS,
    sink: {
      blockList: (blocks) => result.memory.push(...blocks.map(({ length }) => new Uint8Array(length))),
      zeroPage(block, offset) {
        result.zeroPages++;
        result.memory[block]!.fill(0, offset, offset + PAGE_SIZE);
      },
      page(block, offset, bytes) {
        result.pages++;
        result.memory[block]!.set(bytes, offset);
      },
    },
  });
  const decoder = new StreamDecoder({
    limits: DEFAULT_LIMITS,
    handler: {
      configuration: () => {},
      open: () => ram,
      close: ({ kind }) => void result.kinds.push(kind),
      command: () => {},
      endMark: () => {},
      vmDescription: () => {},
    },
  });
  const head = new ByteWriter();
  encodeHeader(head);
  encodeConfiguration(head, { machineType: "test-1" });
  decoder.push(head.view());
  for (const chunk of chunks) decoder.push(chunk);
  return result;
}

function expectEqual(memory: readonly Uint8Array[], ram: TestRam): void {
  for (const [block, bytes] of memory.entries()) {
    const original = new Uint8Array(bytes.length);
    ram.readPages(block, 0, bytes.length / PAGE_SIZE, original, 0);
    expect(Buffer.compare(bytes, original), `block ${block}`).toBe(0);
  }
}

describe("the RAM sender", () => {
  test("sends every page in use once, zero pages as such", async () => {
    const { sender, statistics, ram, passes, received } = await make();
    await sender.start();
    expect(sender.remaining).toBe(190 * PAGE_SIZE);
    expect(await sender.iterate()).toBe(true);
    await sender.complete();
    const { memory, pages, zeroPages, kinds } = await received();
    expectEqual(memory, ram);
    // Every fourth page of the test guest is zero.
    expect({ pages, zeroPages }).toEqual({ pages: 143, zeroPages: 47 });
    expect(statistics).toMatchObject({ normal: 143, duplicate: 47, remaining: 0, total: 190 * PAGE_SIZE });
    expect(kinds).toEqual(["start", "part", "end"]);
    expect(passes).toEqual([1]);
  });

  test("whatever the guest writes between the turns, memory is the same at the end", async () => {
    const write = fc.record({
      block: fc.constantFrom(0, 1),
      page: fc.integer({ min: 0, max: 39 }),
      value: fc.constantFrom(0, 1, 255),
    });
    const turn = fc.record({
      writes: fc.array(write, { maxLength: 20 }),
      grow: fc.integer({ min: 0, max: 12 }),
      maxSize: fc.integer({ min: 0, max: 100 * PAGE_SIZE }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(turn, { maxLength: 8 }),
        fc.constantFrom(0, 400_000),
        async (turns, limit) => {
          const { sender, ram, clock, received } = await make(limit);
          await sender.start();
          for (const { writes, grow, maxSize } of turns) {
            for (const { block, page, value } of writes) ram.store(block, page * PAGE_SIZE + 8, value);
            ram.use(0, ram.usedPages(0) + grow);
            clock.now += 30;
            sender.pending(maxSize);
            await sender.iterate();
          }
          await sender.complete();
          expectEqual((await received()).memory, ram);
          expect(sender.remaining).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("looks at the dirty log only when little is left", async () => {
    const { sender, ram, statistics } = await make();
    await sender.start();
    ram.store(0, 0, 1);
    expect(sender.pending(189 * PAGE_SIZE)).toBe(190 * PAGE_SIZE);
    expect(statistics.dirtySyncCount).toBe(1);
    await sender.iterate();
    expect(sender.pending(0)).toBe(PAGE_SIZE);
    expect(statistics).toMatchObject({ dirtySyncCount: 2, pass: 2, passPages: 1 });
  });

  test("stops at the limit and goes on where it stopped", async () => {
    const { sender, clock, received } = await make(1_600_000);
    await sender.start();
    expect(await sender.iterate()).toBe(false);
    const { pages } = await received();
    // One write: a hundredth of what a second allows.
    expect(pages).toBeGreaterThanOrEqual(3);
    expect(pages).toBeLessThanOrEqual(4);
    clock.now = 10_000;
    await sender.complete();
    const all = await received();
    expect(all.pages + all.zeroPages).toBe(190);
  });

  test("stops after 50 ms", async () => {
    const { sender, clock } = await make();
    await sender.start();
    const before = sender.remaining;
    // Each look at the clock finds it 30 ms later: one run is over before the second look.
    let time = 0;
    Object.defineProperty(clock, "now", { get: () => (time += 30) });
    expect(await sender.iterate()).toBe(false);
    expect(before - sender.remaining).toBe(64 * PAGE_SIZE);
  });
});
