import {
  BLOCK_CHUNK_BYTES,
  BlockDecoder,
  ByteWriter,
  DEFAULT_LIMITS,
  encodeConfiguration,
  encodeHeader,
  MigrationError,
  StreamDecoder,
} from "@peregrine/protocol";
import { CHUNK_SIZE, MigrationParameters, MigrationStatistics } from "@peregrine/shared-state";
import type { OutgoingDrives } from "@peregrine/shared-state";
import { openOutgoingDrives, TestDrives, TestImage } from "@peregrine/shared-state/testing";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BlockSender } from "./block-sender.ts";
import { OutgoingStream } from "./outgoing-stream.ts";
import { SectionWriter } from "./section-writer.ts";
import { FakeChannel } from "./testing/fake-channel.ts";

const MiB = 1 << 20;
/** One ends in the middle of a chunk, and one is empty. */
const LENGTHS = { a: 3 * MiB + 512, b: 0, c: 2 * MiB };

interface FixtureOptions {
  readonly incremental?: boolean;
  readonly zeroBlocks?: boolean;
  /** Bytes per second. */
  readonly limit?: number;
  readonly lengths?: Readonly<Record<string, number>>;
  readonly wrap?: (drives: OutgoingDrives) => OutgoingDrives;
  readonly check?: () => void;
}

async function fixture(options: FixtureOptions = {}) {
  const lengths = options.lengths ?? LENGTHS;
  const images = Object.fromEntries(
    Object.entries(lengths).map(([id, length]) => [id, new TestImage(length)]),
  );
  const drives = TestDrives.held(images);
  const opened = await openOutgoingDrives(drives.outgoing().data);
  const statistics = new MigrationStatistics();
  const parameters = new MigrationParameters();
  parameters.set({ "max-bandwidth": options.limit ?? 0 });
  const channel = new FakeChannel();
  const clock = { now: 0, step: 0 };
  const now = (): number => (clock.now += clock.step);
  const stream = new OutgoingStream(channel, parameters, statistics, now);
  const writer = new SectionWriter(stream, true);
  const make = (): BlockSender =>
    new BlockSender({
      drives: options.wrap?.(opened) ?? opened,
      incremental: options.incremental ?? false,
      zeroBlocks: options.zeroBlocks ?? false,
      stream,
      writer,
      statistics,
      check: options.check ?? (() => {}),
      sleep: async (ms) => {
        clock.now += Math.max(ms, 1);
      },
      now,
    });
  const received = async (): Promise<Received> => {
    await stream.flush();
    return decode(channel.written, lengths);
  };
  return { images, drives, statistics, stream, writer, clock, make, received };
}

interface Received {
  /** Every record in its order: `a 0`, `a 1 zero`, `100 %`, `part`, `alive`. */
  readonly records: readonly string[];
  readonly disks: Readonly<Record<string, Uint8Array>>;
}

function decode(chunks: readonly Uint8Array[], lengths: Readonly<Record<string, number>>): Received {
  const records: string[] = [];
  const disks = Object.fromEntries(
    Object.entries(lengths).map(([id, length]) => [id, new Uint8Array(length)]),
  );
  const put = (id: string, offset: number, bytes: Uint8Array): true => {
    const disk = disks[id]!;
    expect(bytes.subarray(disk.length - offset).every((byte) => byte === 0)).toBe(true);
    disk.set(bytes.subarray(0, disk.length - offset), offset);
    return true;
  };
  const block = new BlockDecoder({
    chunk: (id, offset, bytes) => {
      records.push(`${id} ${offset / CHUNK_SIZE}`);
      return put(id, offset, bytes);
    },
    zeroChunk: (id, offset) => {
      records.push(`${id} ${offset / CHUNK_SIZE} zero`);
      return put(id, offset, new Uint8Array(BLOCK_CHUNK_BYTES));
    },
    progress: (percent) => records.push(`${percent} %`),
  });
  const decoder = new StreamDecoder({
    limits: DEFAULT_LIMITS,
    handler: {
      configuration: () => {},
      open: ({ name, instance, version }) => {
        expect([name, instance, version]).toEqual(["block", 0, 1]);
        return block;
      },
      close: ({ kind }) => void records.push(kind),
      command: ({ kind }) => void records.push(kind),
      endMark: () => {},
      vmDescription: () => {},
    },
  });
  const head = new ByteWriter();
  encodeHeader(head);
  encodeConfiguration(head, { machineType: "test-1" });
  decoder.push(head.view());
  for (const chunk of chunks) decoder.push(chunk);
  return { records, disks };
}

function expectSame(received: Received, images: Readonly<Record<string, TestImage>>): void {
  for (const [id, image] of Object.entries(images)) {
    expect(Buffer.compare(received.disks[id]!, new Uint8Array(image.bytes)), id).toBe(0);
  }
}

function bytesOf(length: number, fill: number): Uint8Array {
  return new Uint8Array(length).fill(fill);
}

/** Sends the present pass. @param pause between two sections. */
async function iterated(sender: BlockSender, pause = (): void => {}): Promise<void> {
  while (!(await sender.iterate())) pause();
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe("a block section", () => {
  test("has every chunk of every drive in order, the last one padded, and the progress", async () => {
    const { images, drives, statistics, make, received } = await fixture();
    drives.write(0, 3 * MiB, bytesOf(512, 7));
    drives.write(2, 5, bytesOf(MiB, 8));
    const sender = make();
    expect(statistics.diskTotal).toBe(5 * MiB + 512);
    await sender.start();
    expect(sender.pending(-1)).toBe(5 * MiB + 512);
    expect(await sender.iterate()).toBe(true);
    expect(sender.pending(-1)).toBe(0);
    expect([statistics.diskTransferred, statistics.diskRemaining]).toEqual([5 * MiB + 512, 0]);
    await sender.complete();
    await sender.close();
    const result = await received();
    expectSame(result, images);
    // What was written before the sender was made is in the log as well, and so comes again.
    expect(result.records.join(", ")).toBe(
      "start, a 0, 16 %, a 1, 33 %, a 2, 50 %, a 3, 66 %, c 0, 83 %, c 1, 100 %, part, a 3, c 0, c 1, part, 100 %, end",
    );
  });

  test("has only what is in the drives' own files, if it is incremental, and what is written later", async () => {
    const { images, drives, statistics, make, received } = await fixture({ incremental: true });
    new Uint8Array(images["c"]!.held)[1] = 1;
    const sender = make();
    expect(statistics.diskTotal).toBe(MiB);
    await sender.start();
    await sender.iterate();
    drives.write(0, MiB, bytesOf(1, 3));
    expect(sender.pending(0)).toBe(MiB);
    await sender.complete();
    expect((await received()).records.join(", ")).toBe("start, c 1, 100 %, part, a 1, part, 100 %, end");
  });

  test("flags chunks of zeros with zero-blocks, also such as have become zero", async () => {
    const { images, drives, make, received } = await fixture({ zeroBlocks: true });
    drives.write(2, 2 * MiB - 1, bytesOf(1, 1));
    drives.write(0, 0, bytesOf(1, 1));
    const sender = make();
    await sender.start();
    await sender.iterate();
    drives.write(0, 0, bytesOf(1, 0));
    await sender.complete();
    const result = await received();
    expectSame(result, images);
    const chunks = result.records.filter((record) => !record.includes("%"));
    expect(chunks.join(", ")).toBe(
      "start, a 0, a 1 zero, a 2 zero, a 3 zero, c 0 zero, c 1, part, a 0 zero, c 1, part, end",
    );
  });

  test("of drives without contents of their own ends with 100 percent", async () => {
    const { make, received, statistics } = await fixture({ incremental: true });
    const sender = make();
    await sender.start();
    expect(await sender.iterate()).toBe(true);
    await sender.complete();
    expect((await received()).records).toEqual(["start", "part", "100 %", "end"]);
    expect(statistics.diskTransferred).toBe(0);
  });
});

describe("pending", () => {
  test("takes the guest's log only when little is left", async () => {
    const { drives, make } = await fixture();
    const sender = make();
    await sender.start();
    await sender.iterate();
    drives.write(0, 0, bytesOf(1, 1));
    expect(sender.pending(-1)).toBe(0);
    expect(sender.pending(0)).toBe(MiB);
    drives.write(2, 0, bytesOf(1, 1));
    expect(sender.pending(MiB - 1)).toBe(MiB);
    expect(sender.pending(MiB)).toBe(2 * MiB);
  });

  test("counts what was read and not sent", async () => {
    const { make, clock, received } = await fixture();
    const sender = make();
    await sender.start();
    // A chunk takes more than half of the time that a section may take.
    clock.step = 30;
    expect(await sender.iterate()).toBe(false);
    expect(sender.pending(-1)).toBe(4 * MiB + 512);
    expect((await received()).records).toEqual(["start", "a 0", "16 %", "part"]);
  });
});

describe("reads", () => {
  test("are at most 16 at once, into 16 buffers, and what they bring goes out in order", async () => {
    let inFlight = 0;
    let most = 0;
    const buffers = new Set<ArrayBufferLike>();
    const wrap = (drives: OutgoingDrives): OutgoingDrives => ({
      ...drives,
      read: async (drive, chunk, target) => {
        most = Math.max(most, ++inFlight);
        buffers.add(target.buffer);
        // Later chunks are there earlier.
        for (let turn = 0; turn < 20 - (chunk % 20); turn++) await Promise.resolve();
        await drives.read(drive, chunk, target);
        inFlight--;
      },
    });
    const { images, make, received } = await fixture({ lengths: { big: 40 * MiB }, wrap });
    const bytes = new Uint8Array(images["big"]!.bytes);
    for (let at = 0; at < bytes.length; at += 4096) bytes[at] = at / MiB;
    const sender = make();
    await sender.start();
    await iterated(sender);
    await sender.complete();
    expect([most, buffers.size]).toEqual([16, 16]);
    const result = await received();
    expectSame(result, images);
    const chunks = result.records.filter((record) => record.startsWith("big"));
    expect(chunks).toEqual(Array.from({ length: 40 }, (_, chunk) => `big ${chunk}`));
  });

  test.each(["iterate", "complete"] as const)(
    "are waited for between two sections, with nothing that waits to go out: %s",
    async (call) => {
      const gates: PromiseWithResolvers<void>[] = [];
      const wrap = (drives: OutgoingDrives): OutgoingDrives => ({
        ...drives,
        read: async (...read) => {
          const gate = Promise.withResolvers<void>();
          gates.push(gate);
          await gate.promise;
          await drives.read(...read);
        },
      });
      const { images, make, stream, writer, received } = await fixture({ wrap });
      const sender = make();
      await sender.start();
      const sending = call === "iterate" ? iterated(sender) : sender.complete();
      for (const chunks of [1, 2, 3]) {
        // It goes on with what was read.
        await nextTurn();
        await expect.poll(() => gates.length > 0 && writer.isBetween, { timeout: 20_000 }).toBe(true);
        await writer.command({ kind: "alive" });
        await stream.flush();
        for (const gate of gates.splice(0, chunks)) gate.resolve();
      }
      await sending;
      if (call === "iterate") await sender.complete();
      const result = await received();
      expectSame(result, images);
      expect(result.records.join(", ")).toBe(
        "start, alive, a 0, 16 %, part, alive, a 1, 33 %, a 2, 50 %, part, alive, a 3, 66 %, c 0, 83 %, c 1, 100 %, part, 100 %, end",
      );
    },
  );

  test("that fail fail the section, and leave nothing open", async () => {
    let closed = 0;
    const wrap = (drives: OutgoingDrives): OutgoingDrives => ({
      ...drives,
      read: async (drive, chunk) => {
        if (drive === 0 && chunk < 2) return;
        throw new MigrationError("NO_SUCH_FILE", `drive ${drive}, chunk ${chunk}`);
      },
      close: async () => void closed++,
    });
    const { make } = await fixture({ wrap });
    const sender = make();
    await sender.start();
    await expect(sender.iterate()).rejects.toThrow("drive 0, chunk 2");
    await sender.close();
    expect(closed).toBe(1);
  });
});

describe("a rate limit", () => {
  test("holds within a chunk", async () => {
    const limit = MiB;
    const { make, clock, stream, statistics, images, received } = await fixture({ limit });
    const sender = make();
    await sender.start();
    await iterated(sender, () => {
      clock.now += Math.max(stream.waitTime, 1);
      stream.resetPeriod();
      expect(statistics.transferred).toBeLessThan((clock.now / 1000) * limit * 1.05 + 2 * stream.chunkBytes);
    });
    expect(clock.now).toBeGreaterThan(4000);
    stream.liftLimit();
    await sender.complete();
    expectSame(await received(), images);
  });

  test("does not keep a migration going that was given up", async () => {
    const given = new MigrationError("CANCELLED", "The migration was cancelled");
    let sleeps = 0;
    const check = (): void => {
      if (++sleeps > 3) throw given;
    };
    const { make, clock, stream } = await fixture({ limit: 1000, check });
    const sender = make();
    await sender.start();
    const sending = iterated(sender, () => {
      clock.now += Math.max(stream.waitTime, 1);
      stream.resetPeriod();
    });
    await expect(sending).rejects.toBe(given);
    await sender.close();
  });
});

test("whatever is written, and whenever, arrives", async () => {
  const lengths = { x: 3 * MiB + 4096, y: 2 * MiB + 1 };
  const writes = fc.array(
    fc.record({
      drive: fc.integer({ min: 0, max: 1 }),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 5 }),
      next: fc.constantFrom("iterate", "pending", "nothing"),
    }),
    { maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(writes, fc.boolean(), async (steps, zeroBlocks) => {
      const { images, drives, make, received } = await fixture({ lengths, zeroBlocks });
      const sender = make();
      await sender.start();
      for (const { drive, at, bytes, next } of steps) {
        const length = Object.values(lengths)[drive]!;
        drives.write(drive, Math.floor(at * Math.max(length - bytes.length, 0)), bytes);
        if (next === "iterate") await sender.iterate();
        else if (next === "pending") sender.pending(4 * MiB);
      }
      await sender.complete();
      expectSame(await received(), images);
    }),
    { numRuns: 25 },
  );
});
