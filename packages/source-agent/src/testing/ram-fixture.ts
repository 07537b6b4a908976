import {
  ByteWriter,
  DEFAULT_LIMITS,
  encodeConfiguration,
  encodeHeader,
  RamDecoder,
  StreamDecoder,
} from "@peregrine/protocol";
import {
  MigrationCapabilities,
  MigrationParameters,
  MigrationStatistics,
  PAGE_SIZE,
  PageMap,
  PassLog,
} from "@peregrine/shared-state";
import { openRam, TestMachine } from "@peregrine/shared-state/testing";
import type { TestRam } from "@peregrine/shared-state/testing";
import { expect } from "vitest";
import type { DirtyPeriod } from "../auto-converge.ts";
import { InlineSender } from "../inline-sender.ts";
import { OutgoingStream } from "../outgoing-stream.ts";
import { RamSender } from "../ram-sender.ts";
import { SectionWriter } from "../section-writer.ts";
import { FakeChannel } from "./fake-channel.ts";

const BLOCKS = [
  { name: "a", pages: 300, used: 150 },
  { name: "b", pages: 40, used: 40 },
];

/** What a receiver has of the stream so far. */
export interface Received {
  /** By block. */
  readonly memory: readonly Uint8Array[];
  readonly pages: number;
  readonly zeroPages: number;
  readonly deltas: number;
  /** Of the sections. */
  readonly kinds: readonly string[];
}

export interface RamFixture {
  readonly ram: TestRam;
  readonly map: PageMap;
  readonly passLog: PassLog;
  readonly sender: RamSender;
  readonly parameters: MigrationParameters;
  readonly statistics: MigrationStatistics;
  readonly passes: number[];
  readonly dirtyPeriods: readonly DirtyPeriod[];
  readonly clock: { now: number };
  readonly received: () => Promise<Received>;
}

export interface RamFixtureOptions {
  /** Bytes per second. Default: unlimited. */
  readonly limit?: number;
  /** Bytes of the XBZRLE cache. Default: the capability is off. */
  readonly cache?: number;
  /** Pages are copied out of the guest before anything is done with them. Default: they are read in place. */
  readonly copied?: boolean;
  /** Default: as the guest's memory says. */
  readonly logsAllContents?: boolean;
}

/** A test guest's memory and what sends it. */
export async function ramFixture(options: RamFixtureOptions = {}): Promise<RamFixture> {
  const { limit = 0, cache, copied = false, logsAllContents } = options;
  const machine = TestMachine.source({ blocks: BLOCKS });
  await machine.startDirtyLog();
  const ram = openRam(machine.ram().data);
  if (copied) Object.assign(ram, { inPlace: undefined });
  if (logsAllContents !== undefined) Object.assign(ram, { logsAllContents });
  const channel = new FakeChannel();
  const statistics = new MigrationStatistics();
  const parameters = new MigrationParameters();
  parameters.set({ "max-bandwidth": limit, "xbzrle-cache-size": cache ?? PAGE_SIZE });
  const capabilities = new MigrationCapabilities();
  capabilities.set([{ capability: "xbzrle", state: cache !== undefined }], "none");
  const clock = { now: 0 };
  const now = (): number => clock.now;
  const stream = new OutgoingStream(channel, parameters, statistics, now);
  const passes: number[] = [];
  const dirtyPeriods: DirtyPeriod[] = [];
  const writer = new SectionWriter(stream, true);
  const { states } = capabilities;
  const map = new PageMap(ram.blocks);
  const passLog = new PassLog();
  const pages = new InlineSender({ ram, map, stream, capabilities: states, parameters, statistics, now });
  const sender = new RamSender({
    ram,
    map,
    pages,
    stream,
    writer,
    statistics,
    passes: passLog,
    now,
    onPass: (pass) => void passes.push(pass),
    onDirtyPeriod: (period) => void dirtyPeriods.push(period),
  });
  return {
    ram,
    map,
    passLog,
    sender,
    parameters,
    statistics,
    passes,
    dirtyPeriods,
    clock,
    received: async () => {
      await stream.flush();
      return decode(channel.written);
    },
  };
}

function decode(chunks: readonly Uint8Array[]): Received {
  const memory: Uint8Array[] = [];
  const kinds: string[] = [];
  const counts = { pages: 0, zeroPages: 0, deltas: 0 };
  const ram = new RamDecoder({
    limits: DEFAULT_LIMITS,
    sink: {
      blockList: (blocks) => memory.push(...blocks.map(({ length }) => new Uint8Array(length))),
      zeroPage(block, offset) {
        counts.zeroPages++;
        memory[block]!.fill(0, offset, offset + PAGE_SIZE);
      },
      page(block, offset, bytes) {
        counts.pages++;
        memory[block]!.set(bytes, offset);
      },
      presentPage(block, offset) {
        counts.pages--;
        counts.deltas++;
        return memory[block]!.subarray(offset, offset + PAGE_SIZE);
      },
    },
  });
  const decoder = new StreamDecoder({
    limits: DEFAULT_LIMITS,
    handler: {
      configuration: () => {},
      open: () => ram,
      close: ({ kind }) => void kinds.push(kind),
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
  return { memory, kinds, ...counts };
}

/** Checks that the receiver's memory is the guest's. */
export function expectSameMemory({ memory }: Received, ram: TestRam): void {
  for (const [block, bytes] of memory.entries()) {
    const original = new Uint8Array(bytes.length);
    ram.readPages(block, 0, bytes.length / PAGE_SIZE, original, 0);
    expect(Buffer.compare(bytes, original), `block ${block}`).toBe(0);
  }
}
