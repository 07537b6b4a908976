import { encodeBlockChunk, encodeBlockProgress, MigrationError } from "@peregrine/protocol";
import type { ByteWriter } from "@peregrine/protocol";
import { CHUNK_SIZE } from "@peregrine/shared-state";
import type { IncomingDrives } from "@peregrine/shared-state";
import { openIncomingDrives, TestDrives, TestImage } from "@peregrine/shared-state/testing";
import { describe, expect, test } from "vitest";
import { driveStream, putChunk, putZeros } from "../test/drive-stream.ts";
import type { DriveRecords } from "../test/drive-stream.ts";
import { feed, keptOpen } from "../test/in-process.ts";
import type { Fed, Feeding } from "../test/in-process.ts";
import { destination } from "../test/machines.ts";
import { blockSection, bytesOf, fullSection } from "../test/stream-maker.ts";
import type { TestStream } from "../test/stream-maker.ts";

const MiB = 1 << 20;
/** The first one ends in the middle of a chunk. */
const LENGTHS = { db: 3 * MiB + 512, log: MiB };

interface Load extends Fed {
  readonly images: Readonly<Record<"db" | "log", TestImage>>;
  readonly drives: TestDrives;
  /** What was done to the drives in the thread, in its order. */
  readonly done: readonly string[];
}

interface LoadOptions extends Pick<Feeding, "chunks"> {
  /** Called before each write, also of zeros. */
  readonly beforeWrite?: (write: number) => Promise<void> | void;
}

async function load({ chunks, beforeWrite }: LoadOptions): Promise<Load> {
  const images = { db: new TestImage(LENGTHS.db), log: new TestImage(LENGTHS.log) };
  for (const { bytes } of Object.values(images)) new Uint8Array(bytes).fill(1);
  const drives = TestDrives.awaited(images);
  const done: string[] = [];
  let writes = 0;
  const openDrives = async (): Promise<IncomingDrives> => {
    const opened = await openIncomingDrives(drives.incoming().data);
    return {
      drives: opened.drives,
      write: async (drive, chunk, bytes) => {
        await beforeWrite?.(writes++);
        await opened.write(drive, chunk, bytes);
        done.push(`write ${drive} ${chunk}`);
      },
      writeZeros: async (drive, chunk) => {
        await beforeWrite?.(writes++);
        await opened.writeZeros(drive, chunk);
        done.push(`zeros ${drive} ${chunk}`);
      },
      sync: async () => void done.push("sync"),
      close: async () => void done.push("close"),
    };
  };
  const commit = async (): Promise<undefined> => void done.push("commit");
  const guest = destination({ drives });
  const fed = await feed({ chunks, guest, target: { openDrives, commit } });
  return { ...fed, images, drives, done };
}

async function loadRecords(records: DriveRecords): Promise<Load> {
  return load({ chunks: keptOpen((await driveStream(records)).bytes) });
}

function bytesAt(image: TestImage, ...offsets: number[]): number[] {
  const bytes = new Uint8Array(image.bytes);
  return offsets.map((offset) => bytes[offset]!);
}

describe("chunks of drives", () => {
  test("are written up to the drive's end, and seen when the drives are taken over", async () => {
    const { error, committed, images, drives, done } = await loadRecords({
      part: (w) => {
        putChunk(w, "db", 0, 7);
        putChunk(w, "db", 3, 8);
        putZeros(w, "log", 0);
      },
      end: (w) => putChunk(w, "db", 2, 9),
    });
    expect([error, committed]).toEqual([undefined, true]);
    expect(bytesAt(images.db, 0, 3 * MiB)).toEqual([1, 1]);
    await drives.takeOver();
    expect(bytesAt(images.db, 0, MiB - 1, MiB, 2 * MiB, 3 * MiB, 3 * MiB + 511)).toEqual([7, 7, 1, 9, 8, 8]);
    expect(bytesAt(images.log, 0, MiB - 1)).toEqual([0, 0]);
    // The first sync comes with 100 percent.
    expect(done.join(", ")).toBe("write 0 0, write 0 3, zeros 1 0, write 0 2, sync, sync, close, commit");
  });

  test("come in pieces of any size", async () => {
    const { bytes } = await driveStream({ part: (w) => putChunk(w, "log", 0, 3) });
    for (const size of [1000, 4097, 300_000, MiB + 30]) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      const { error, drives, images } = await load({ chunks: keptOpen(...chunks) });
      expect(error).toBeUndefined();
      await drives.takeOver();
      expect(new Uint8Array(images.log.bytes).every((byte) => byte === 3)).toBe(true);
    }
  });

  test("stay as they came last", async () => {
    const { bytes } = await driveStream({
      part: (w) => {
        for (let fill = 2; fill < 9; fill++) putChunk(w, "db", 1, fill);
      },
    });
    const { drives, images, done } = await load({
      chunks: keptOpen(bytes),
      // The first ones take longest.
      beforeWrite: async (write) => {
        for (let turn = write; turn < 8; turn++) await nextTurn();
      },
    });
    await drives.takeOver();
    expect(bytesAt(images.db, MiB, 2 * MiB - 1)).toEqual([8, 8]);
    expect(done.filter((what) => what === "write 0 1")).toHaveLength(7);
  });

  test("are held in few buffers, and nothing is read while those are full", async () => {
    const gate = Promise.withResolvers<void>();
    const { bytes } = await driveStream({
      part: (w) => {
        for (let n = 0; n < 10; n++) {
          putChunk(w, "db", n % 3, n);
          putZeros(w, "log", 0);
        }
      },
    });
    const source = { read: 0 };
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.length; at += 65_536) {
        yield bytes.subarray(at, at + 65_536);
        source.read = at;
      }
      yield* keptOpen();
    }
    const loading = load({ chunks: chunks(), beforeWrite: () => gate.promise });
    // There are no timers and no files here: what does nothing in so many turns waits.
    for (let seen = -1; source.read > seen;) {
      seen = source.read;
      for (let turn = 0; turn < 20; turn++) await nextTurn();
    }
    expect(source.read).toBeGreaterThan(MiB);
    // Two chunks and two records of zeros.
    expect(source.read).toBeLessThan(2.5 * MiB);
    gate.resolve();
    const { error, drives, images } = await loading;
    expect(error).toBeUndefined();
    await drives.takeOver();
    expect(bytesAt(images.db, 0, MiB, 2 * MiB)).toEqual([9, 7, 8]);
  });

  test("that cannot be written fail the load, and the drives are closed", async () => {
    const { bytes } = await driveStream({
      part: (w) => {
        for (let n = 0; n < 10; n++) putChunk(w, "db", n % 3, n);
      },
    });
    const full = new MigrationError("WRITE_FAILED", "the disk is full");
    const { error, committed, done } = await load({
      chunks: [bytes],
      beforeWrite: (write) => {
        if (write === 2) throw full;
      },
    });
    expect([error, committed]).toEqual([full, false]);
    expect(done.slice(0, 2)).toEqual(["write 0 0", "write 0 1"]);
    expect(done).not.toContain("write 0 2");
  });
});

test("how much of them is there is told", async () => {
  const percents: number[] = [];
  const { bytes } = await driveStream({
    part: (w) => {
      encodeBlockProgress(w, 40);
      encodeBlockProgress(w, 1000);
    },
  });
  const drives = TestDrives.awaited({ db: new TestImage(MiB) });
  const { error } = await feed({
    chunks: keptOpen(bytes),
    guest: destination({ drives }),
    target: { drivesProgress: (percent) => void percents.push(percent) },
  });
  expect(error).toBeUndefined();
  expect(percents).toEqual([40, 100, 100]);
});

describe("is refused:", () => {
  const chunkAt =
    (drive: string, offset: number) =>
    (w: ByteWriter): void =>
      encodeBlockChunk(w, drive, offset, new Uint8Array(CHUNK_SIZE));

  test.each<[string, DriveRecords, code: string, text: string]>([
    [
      "a drive that is not here",
      { part: (w) => putChunk(w, "other", 0, 1) },
      "BAD_DRIVE",
      "Unknown drive 'other', cannot accept migration: give this side the drives of the source (section 'block', ",
    ],
    [
      "the same as zeros",
      { part: (w) => putZeros(w, "", 0) },
      "BAD_DRIVE",
      "Unknown drive '', cannot accept migration",
    ],
    [
      "a drive that is too small",
      { end: (w) => putChunk(w, "log", 1, 1) },
      "BAD_DRIVE",
      "The drive 'log' of 1048576 bytes is too small for the data at byte 1048576, cannot accept migration (section ",
    ],
    [
      "a chunk far behind the end",
      { end: (w) => putZeros(w, "db", 2 ** 30) },
      "BAD_DRIVE",
      "The drive 'db' of 3146240 bytes is too small for the data at byte 1125899906842624",
    ],
    [
      "a chunk across two",
      { part: chunkAt("db", 512) },
      "BAD_DRIVE",
      "The data at byte 512 of drive 'db' does not begin at a multiple of 1048576",
    ],
    [
      "what is no record",
      { part: (w) => w.be64(0x10) },
      "BAD_SECTION",
      "Unknown block migration flags: 0x10",
    ],
  ])("%s", async (_, records, code, text) => {
    const { error, committed, done } = await loadRecords(records);
    expect(error).toMatchObject({ code, message: expect.stringContaining(text), section: "block" });
    expect(committed).toBe(false);
    expect(done).not.toContain("write 0 0");
  });

  const empty = { id: 5, name: "block", instance: 0, version: 1 };
  test.each<[string, (stream: TestStream) => TestStream, code: string, text: string]>([
    [
      "a newer version",
      (stream) => stream.with("block-start", blockSection("start", undefined, 2)),
      "UNSUPPORTED_SECTION_VERSION",
      "savevm: unsupported version 2 for 'block' v1",
    ],
    [
      "one piece",
      (stream) =>
        stream.with(
          "block-start",
          fullSection(
            empty,
            bytesOf((w) => w.be64(2)),
          ),
        ),
      "BAD_SECTION_ORDER",
      "Section 'block' came in one piece instead of by START",
    ],
    [
      "a second START",
      (stream) =>
        stream.after(
          "block-start",
          fullSection(
            { ...empty, kind: "start" },
            bytesOf((w) => w.be64(2)),
          ),
        ),
      "BAD_SECTION_ORDER",
      "Section 'block' was started twice",
    ],
    [
      "a START in front of the early devices",
      (stream) => {
        const start = stream.bytesOf("block-start");
        return stream.without("block-start").before("test-layout", start);
      },
      "BAD_SECTION_ORDER",
      "Section 'block' came before 'test-layout'",
    ],
    [
      "a START behind memory",
      (stream) => {
        const start = stream.bytesOf("block-start");
        return stream.without("block-start").after("ram-start", start);
      },
      "BAD_SECTION_ORDER",
      "Section 'block' came after the start of section 'ram'",
    ],
    [
      "a stream without END",
      (stream) => stream.without("block-end"),
      "BAD_SECTION_ORDER",
      "The stream ended without section 'block' END",
    ],
  ])("%s", async (_, change, code, text) => {
    const { error, committed } = await load({ chunks: [change(await driveStream()).bytes] });
    expect(error).toMatchObject({ code, message: expect.stringContaining(text) });
    expect(committed).toBe(false);
  });

  test("any of it where there are no drives", async () => {
    const { error } = await feed({ chunks: [(await driveStream()).bytes] });
    expect(error).toMatchObject({
      code: "UNKNOWN_SECTION",
      message: expect.stringContaining("Unknown savevm section or instance 'block' 0."),
    });
  });
});

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
