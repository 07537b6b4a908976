import { ByteWriter, encodeRamBlockEntry, hasMappedPage, placeMappedBlock } from "@peregrine/protocol";
import type { ListedRamBlock } from "@peregrine/protocol";
import {
  MigrationParameters,
  MigrationStatistics,
  PAGE_SIZE,
  PageMap,
  PassLog,
} from "@peregrine/shared-state";
import { openRam, TestMachine } from "@peregrine/shared-state/testing";
import type { TestRam } from "@peregrine/shared-state/testing";
import { connect } from "@peregrine/transport";
import type { Channel, SeekableOutput } from "@peregrine/transport";
import * as fc from "fast-check";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MappedSender } from "./mapped-sender.ts";
import { OutgoingStream } from "./outgoing-stream.ts";
import { RamSender } from "./ram-sender.ts";
import { SectionWriter } from "./section-writer.ts";
import { outgoingConfiguration } from "./stream-configuration.ts";
import { readByPlaces, readMappedFile } from "./testing/mapped-file.ts";

const BLOCKS = [
  { name: "a", pages: 700, used: 400 },
  { name: "/rom@etc/b", pages: 65, used: 65 },
  { name: "c", pages: 1, used: 1 },
];

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-"));
  path = join(folder, "vm");
});

afterEach(() => rm(folder, { recursive: true }));

interface Fixture {
  readonly ram: TestRam;
  readonly sender: RamSender;
  readonly stream: OutgoingStream;
  readonly statistics: MigrationStatistics;
  readonly channel: Channel;
  readonly clock: { now: number };
  /** Bytes of each write to a place of its own. */
  readonly writes: readonly number[];
}

interface Options {
  readonly offset?: number;
  readonly limit?: number;
  readonly configuration?: boolean;
}

async function make({ offset = 0, limit = 0, configuration = true }: Options = {}): Promise<Fixture> {
  const machine = TestMachine.source({ blocks: BLOCKS });
  await machine.startDirtyLog();
  const ram = openRam(machine.ram().data);
  const channel = await connect(`file:${path},offset=${offset}`);
  const statistics = new MigrationStatistics();
  const parameters = new MigrationParameters();
  parameters.setSpeed(limit);
  const clock = { now: 0 };
  const now = (): number => clock.now;
  const stream = new OutgoingStream(channel, parameters, statistics, now);
  const writer = new SectionWriter(stream, configuration);
  const writes: number[] = [];
  const file = watched(channel.file!, writes);
  const map = new PageMap(ram.blocks);
  const pages = new MappedSender({ ram, map, stream, statistics }, file);
  const ignore = (): void => {};
  const options = { ram, map, pages, stream, writer, statistics, passes: new PassLog(), now };
  const sender = new RamSender({ ...options, onPass: ignore, onDirtyPeriod: ignore });
  const machineType = { machineType: "pc-i440fx-9.0", capabilities: ["x-ignore-shared"] };
  const capabilities = { "mapped-ram": true, "switchover-ack": false };
  await writer.header(outgoingConfiguration(configuration ? machineType : undefined, capabilities));
  return { ram, sender, stream, statistics, channel, clock, writes };
}

function watched(file: SeekableOutput, writes: number[]): SeekableOutput {
  return {
    get position() {
      return file.position;
    },
    seek: (position) => file.seek(position),
    writeAt: (bytes, position) => {
      writes.push(bytes.length);
      return file.writeAt(bytes, position);
    },
  };
}

async function finish({ sender, stream, channel }: Fixture): Promise<Buffer> {
  while (!(await sender.iterate()));
  await sender.complete();
  await stream.flush();
  await channel.end();
  channel.destroy();
  await channel.closed;
  return readFile(path);
}

function memoryOf(ram: TestRam): Uint8Array[] {
  return ram.blocks.map(({ length }, block) => {
    const bytes = new Uint8Array(length);
    ram.readPages(block, 0, length / PAGE_SIZE, bytes, 0);
    return bytes;
  });
}

function expectSame(memory: readonly Uint8Array[], ram: TestRam): void {
  for (const [block, bytes] of memoryOf(ram).entries()) {
    expect(Buffer.compare(bytes, memory[block]!), `block ${block}`).toBe(0);
  }
}

/** The numbers of the pages that are in the file. */
function presentPages(bytes: Uint8Array, { length, mapped }: ListedRamBlock): number[] {
  const bitmap = bytes.subarray(mapped!.bitmapOffset, mapped!.pagesOffset);
  return Array.from({ length: length / PAGE_SIZE }, (_, page) => page).filter((page) =>
    hasMappedPage(bitmap, page),
  );
}

describe("memory in a file with a place for each page", () => {
  test.each([
    ["with a configuration section", true],
    ["without one", false],
  ])("is read again, %s", async (_name, configuration) => {
    const fixture = await make({ configuration });
    await fixture.sender.start();
    const bytes = await finish(fixture);
    const file = readMappedFile(bytes);
    expectSame(file.memory, fixture.ram);
    expectSame(await readByPlaces(bytes, file.blocks), fixture.ram);
    expect(file.configuration).toEqual(
      configuration ? { machineType: "pc-i440fx-9.0", capabilities: ["mapped-ram"] } : undefined,
    );
    expect(file.sections).toEqual(["start", "part", "end"]);
    // Every fourth page of the test guest is zero.
    expect(fixture.statistics).toMatchObject({ normal: 350, duplicate: 116, remaining: 0 });
    for (const block of file.blocks) {
      expect(presentPages(bytes, block).filter((page) => page % 4 === 3)).toEqual([]);
    }
  });

  test("has every block where the layout puts it, whatever is in front of the stream", async () => {
    for (const offset of [0, 1, 4096, 0x10_0000 - 150]) {
      const fixture = await make({ offset });
      await fixture.sender.start();
      const bytes = await finish(fixture);
      const { blocks, memory } = readMappedFile(bytes, offset);
      expectSame(memory, fixture.ram);
      let end = offset;
      for (const { name, length, mapped } of blocks) {
        const writer = new ByteWriter();
        encodeRamBlockEntry(writer, { name, length });
        const entry = bytes.indexOf(writer.view(), end);
        const placement = placeMappedBlock(entry + writer.length, length);
        expect(mapped).toEqual(placement.header);
        end = placement.end;
      }
      expect(blocks.map(({ name }) => name)).toEqual(BLOCKS.map(({ name }) => name));
      await rm(path);
    }
  });

  test("is the guest's, whatever it wrote between the turns", async () => {
    const write = fc.record({
      block: fc.constantFrom(0, 1),
      page: fc.integer({ min: 0, max: 64 }),
      value: fc.constantFrom(0, 1, 255),
    });
    const turn = fc.record({
      writes: fc.array(write, { maxLength: 20 }),
      grow: fc.integer({ min: 0, max: 30 }),
      maxSize: fc.integer({ min: 0, max: 400 * PAGE_SIZE }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(turn, { maxLength: 8 }),
        fc.nat(10_000),
        fc.constantFrom(0, 4_000_000),
        async (turns, offset, limit) => {
          const fixture = await make({ offset, limit });
          const { sender, ram, stream, clock } = fixture;
          await sender.start();
          for (const { writes, grow, maxSize } of turns) {
            for (const { block, page, value } of writes) {
              // A page with a stamp alone becomes zero with it.
              for (let at = 0; at < 12; at++) ram.store(block, page * PAGE_SIZE + at, value);
            }
            ram.use(0, ram.usedPages(0) + grow);
            clock.now += 30;
            stream.resetPeriod();
            sender.pending(maxSize);
            await sender.iterate();
          }
          stream.liftLimit();
          const bytes = await finish(fixture);
          const { memory, blocks } = readMappedFile(bytes, offset);
          expectSame(memory, ram);
          expectSame(await readByPlaces(bytes, blocks), ram);
          await rm(path);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("takes no more room for a page that is sent again, and none for one that has become zero", async () => {
    const fixture = await make();
    const { ram, sender } = fixture;
    await sender.start();
    await sender.iterate();
    const { size } = await stat(path);
    for (let round = 0; round < 3; round++) {
      for (let page = 0; page < 40; page++) {
        for (let at = 0; at < 12; at++) ram.store(0, page * PAGE_SIZE + at, page < 20 ? 0 : round);
      }
      sender.pending(40 * PAGE_SIZE);
      await sender.iterate();
    }
    const bytes = await finish(fixture);
    const { blocks, memoryEnd, memory } = readMappedFile(bytes);
    expectSame(memory, ram);
    expect(size).toBeLessThanOrEqual(bytes.length);
    expect(memoryEnd).toBe(blocks[2]!.mapped!.pagesOffset + PAGE_SIZE);
    expect(presentPages(bytes, blocks[0]!)[0]).toBe(20);
  });

  test("is written in runs, without the zero pages at their ends", async () => {
    const fixture = await make();
    await fixture.sender.start();
    await finish(fixture);
    // Runs have 128 pages, and every fourth page is zero, also the last one of a run. Then come the bitmaps.
    const pages = [127, 127, 127, 15, 65, 1].map((count) => count * PAGE_SIZE);
    expect(fixture.writes).toEqual([...pages, 88, 16, 8]);
  });

  test("counts everything that is written", async () => {
    const fixture = await make();
    await fixture.sender.start();
    await finish(fixture);
    const { statistics, channel } = fixture;
    expect(statistics.transferred).toBe(channel.bytesWritten);
  });

  test("is written a hundredth of a second's bytes at a time under a limit", async () => {
    const { sender, clock, stream, statistics, channel } = await make({ limit: 4_100_000 });
    await sender.start();
    clock.now += 10;
    stream.resetPeriod();
    const before = statistics.transferred;
    expect(await sender.iterate()).toBe(false);
    const sent = statistics.transferred - before;
    expect(sent).toBeGreaterThan(5 * PAGE_SIZE);
    expect(sent).toBeLessThan(25 * PAGE_SIZE);
    channel.destroy();
    await channel.closed;
  });

  test("leaves nothing behind when the file cannot be completed", async () => {
    await writeFile(path, "header");
    const { sender, channel } = await make({ offset: 6 });
    await sender.start();
    await sender.iterate();
    channel.destroy();
    await expect(sender.complete()).rejects.toMatchObject({ code: "CHANNEL_FAILED" });
    await channel.closed;
    expect(await readFile(path, "utf8")).toBe("header");
  });
});
