import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
} from "node:fs";
import { CHUNK_SIZE } from "@peregrine/shared-state";
import type { IncomingDrives } from "@peregrine/shared-state";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  awaited,
  bytesOf,
  contentsOf,
  drive,
  held,
  ImageDirectory,
  incoming,
  outgoing,
} from "../../test/drives.ts";
import { pattern } from "../../test/pattern.ts";
import { NodeDrives } from "./node-drives.ts";
import { StagedDrive } from "./staged-drive.ts";

/** Four chunks, the last one short and not a whole number of clusters. */
const LENGTH = 3 * CHUNK_SIZE + 100_001;
const CHUNKS = [0, 1, 2, 3];

const image = pattern(LENGTH, 1);
const other = pattern(LENGTH, 2);

/** Sends the chunks that are given. */
async function send(from: NodeDrives, to: NodeDrives, chunks: readonly number[]): Promise<IncomingDrives> {
  const source = await outgoing(from);
  const target = await incoming(to);
  const buffer = new Uint8Array(CHUNK_SIZE);
  for (const chunk of chunks) {
    await source.read(0, chunk, buffer);
    await target.write(0, chunk, buffer);
  }
  await target.sync();
  await Promise.all([source.close(), target.close()]);
  return target;
}

/** `bytes` with the chunks of `from` that are given. */
function withChunks(bytes: Uint8Array, from: Uint8Array, chunks: readonly number[]): Uint8Array {
  const result = Uint8Array.from(bytes);
  for (const chunk of chunks) {
    const at = chunk * CHUNK_SIZE;
    result.set(from.subarray(at, at + CHUNK_SIZE), at);
  }
  return result;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

describe("drives on storage that both hosts share", () => {
  it("are the destination's when the source has given them up, and the other way round", async () => {
    const directory = new ImageDirectory();
    const base = directory.make("base", image);
    const options = drive(directory.file("top"), { backing: base });
    const source = await held(options);
    const destination = await awaited(options);
    contentsOf(source).write(Uint8Array.of(1, 2, 3), 70_000);
    await expect(destination.lock()).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
    await source.release();
    await source.release();
    await destination.lock();
    await expect(source.reclaim()).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
    await destination.takeOver();
    await destination.takeOver();
    expect(bytesOf(destination).slice(70_000, 70_003)).toEqual(Uint8Array.of(1, 2, 3));
    contentsOf(destination).write(Uint8Array.of(9), 200_000);
    await destination.dispose();
    await source.reclaim();
    await source.reclaim();
    expect(bytesOf(source)[200_000]).toBe(9);
    await expect(NodeDrives.open([options])).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
  });

  it("have to be there when they are taken over, as large as they were", async () => {
    const directory = new ImageDirectory();
    const base = directory.make("base", image);
    const missing = await awaited(drive(directory.file("top"), { backing: base }));
    await expect(missing.lock()).rejects.toMatchObject({ code: "NO_SUCH_FILE" });
    directory.make("top", new Uint8Array(0));
    await expect(missing.takeOver()).rejects.toMatchObject({
      code: "BAD_DRIVE",
      message: expect.stringContaining("put the source's overlay there") as string,
    });
    const plain = await awaited(drive(base));
    truncateSync(base, 1000);
    await expect(plain.lock()).rejects.toMatchObject({ code: "BAD_DRIVE" });
    await expect(missing.lock()).rejects.toMatchObject({ code: "BAD_DRIVE" });
  });

  it("are locked all or none", async () => {
    const directory = new ImageDirectory();
    const [a, b] = ["a", "b"].map((id) => drive(directory.make(id, image), { id }));
    const destination = await awaited(a!, b!);
    const holder = await held(b!);
    await expect(destination.takeOver()).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
    await (await NodeDrives.open([a!])).dispose();
    await holder.dispose();
    await destination.takeOver();
    await expect(NodeDrives.open([a!])).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
  });

  it("are not taken back after another file was put in their place", async () => {
    const directory = new ImageDirectory();
    const source = await held(drive(directory.make("image", image)));
    const destination = await awaited(drive(directory.file("image")));
    await send(source, destination, CHUNKS);
    await source.release();
    await destination.takeOver();
    await destination.dispose();
    await expect(source.reclaim()).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
  });
});

describe("drives whose contents come in the stream", () => {
  it("change nothing before they are taken over, and replace the image then without a copy", async () => {
    const directory = new ImageDirectory();
    const source = await held(drive(directory.make("image", image)));
    const there = directory.make("there", other);
    symlinkSync(there, directory.file("link"));
    const destination = await awaited(drive(directory.file("link")));
    const before = readdirSync(directory.path);
    const target = await incoming(destination);
    await target.write(0, 0, new Uint8Array(CHUNK_SIZE));
    await send(source, destination, CHUNKS);
    expect(same(readFileSync(there), other)).toBe(true);
    await source.release();
    await destination.lock();
    expect(same(readFileSync(there), other)).toBe(true);
    const staged = statSync(`${there}.incoming`).ino;
    await destination.takeOver();
    expect(statSync(directory.file("link")).ino).toBe(staged);
    expect(same(readFileSync(there), image)).toBe(true);
    expect(same(bytesOf(destination), image)).toBe(true);
    expect(readdirSync(directory.path)).toEqual(before);
    await expect(NodeDrives.open([drive(there)])).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
    contentsOf(destination).write(Uint8Array.of(1), 5);
    expect(same(readFileSync(directory.file("image")), image)).toBe(true);
  });

  it.each([[[1]], [[0, 3]], [[]]])(
    "keep what the image had where nothing came: chunks %j",
    async (chunks) => {
      const directory = new ImageDirectory();
      const source = await held(drive(directory.make("image", image)));
      const destination = await awaited(drive(directory.make("there", other)));
      await send(source, destination, chunks);
      await destination.takeOver();
      expect(same(bytesOf(destination), withChunks(other, image, chunks))).toBe(true);
    },
  );

  it("can come behind a sync as well", async () => {
    const directory = new ImageDirectory();
    const base = directory.make("base", other);
    for (const options of [
      drive(directory.make("plain", other)),
      drive(directory.file("top"), { backing: base }),
    ]) {
      const destination = await awaited(options);
      const target = await incoming(destination);
      await target.sync();
      await target.write(0, 2, image.subarray(2 * CHUNK_SIZE, 3 * CHUNK_SIZE));
      await target.sync();
      await target.writeZeros(0, 0);
      await expect(destination.takeOver()).rejects.toMatchObject({ code: "INTERNAL" });
      await target.sync();
      await destination.takeOver();
      const expected = withChunks(withChunks(other, image, [2]), new Uint8Array(LENGTH), [0]);
      expect(same(bytesOf(destination), expected)).toBe(true);
      await destination.dispose();
    }
  });

  it("keep what an overlay had, and leave the rest to its backing file", async () => {
    const directory = new ImageDirectory();
    const base = directory.make("base", other);
    const here = await held(drive(directory.file("here"), { backing: base }));
    const options = drive(directory.file("there"), { backing: base });
    const before = await NodeDrives.open([options]);
    contentsOf(before).write(Uint8Array.of(1), 10);
    contentsOf(before).write(Uint8Array.of(2), 2 * CHUNK_SIZE);
    await before.dispose();
    const destination = await awaited(options);
    contentsOf(here).write(Uint8Array.of(3), LENGTH - 1);
    contentsOf(here).write(Uint8Array.of(4), 2 * CHUNK_SIZE + 5);
    const source = await outgoing(here);
    const holds = CHUNKS.filter((chunk) => source.holds(0, chunk));
    expect(holds).toEqual([2, 3]);
    await send(here, destination, holds);
    await destination.takeOver();
    const expected = Uint8Array.from(other);
    for (const [position, byte] of [
      [10, 1],
      [2 * CHUNK_SIZE + 5, 4],
      [LENGTH - 1, 3],
    ] as const)
      expected[position] = byte;
    expect(same(bytesOf(destination), expected)).toBe(true);
    await destination.dispose();
    expect(same(bytesOf(await held(options)), expected)).toBe(true);
    expect(same(readFileSync(base), other)).toBe(true);
  });

  it("make an overlay that does not exist yet, also when the source's holds nothing", async () => {
    const directory = new ImageDirectory();
    const base = directory.make("base", other);
    const source = await held(drive(directory.make("image", image)));
    for (const [name, chunks] of [
      ["some", [3]],
      ["none", []],
    ] as const) {
      const destination = await awaited(drive(directory.file(name), { backing: base }));
      await send(source, destination, chunks);
      await destination.takeOver();
      expect(same(bytesOf(destination), withChunks(other, image, chunks))).toBe(true);
      await destination.dispose();
      await (await held(drive(directory.file(name), { backing: base }))).dispose();
    }
  });

  it("take zeros, over what had come and over the backing file", async () => {
    const directory = new ImageDirectory();
    const base = directory.make("base", other);
    for (const options of [
      drive(directory.make("plain", other)),
      drive(directory.file("top"), { backing: base }),
    ]) {
      const destination = await awaited(options);
      const target = await incoming(destination);
      await target.write(0, 3, new Uint8Array(CHUNK_SIZE).fill(7));
      for (const chunk of [3, 1]) await target.writeZeros(0, chunk);
      await target.sync();
      await destination.takeOver();
      expect(same(bytesOf(destination), withChunks(other, new Uint8Array(LENGTH), [1, 3]))).toBe(true);
      await destination.dispose();
    }
  });

  it("leave nothing when they are given up, before the locks are taken or after", async () => {
    const directory = new ImageDirectory();
    const source = await held(drive(directory.make("image", image)));
    const destination = await awaited(drive(directory.make("there", other)));
    for (const locked of [false, true]) {
      await send(source, destination, CHUNKS);
      expect(existsSync(directory.file("there.incoming"))).toBe(true);
      if (locked) await destination.lock();
      await destination.discard();
      expect(readdirSync(directory.path)).toEqual(["image", "there"]);
      expect(same(readFileSync(directory.file("there")), other)).toBe(true);
      await (await NodeDrives.open([drive(directory.file("there"))])).dispose();
    }
    await send(source, destination, CHUNKS);
    await destination.dispose();
    expect(readdirSync(directory.path)).toEqual(["image", "there"]);
  });

  it("are taken in by one process at a time, and what a killed one has left is used again or removed", async () => {
    const directory = new ImageDirectory();
    const options = drive(directory.make("there", other));
    const leftover = directory.make("there.incoming", new Uint8Array(10));
    const one = await awaited(options);
    expect(existsSync(leftover)).toBe(false);
    directory.make("there.incoming", new Uint8Array(2 * LENGTH).fill(3));
    const target = await incoming(one);
    const two = await awaited(options);
    expect(() => two.incoming()).toThrow(expect.objectContaining({ code: "DRIVE_LOCKED" }));
    await target.writeZeros(0, 2);
    await target.sync();
    await one.takeOver();
    expect(same(bytesOf(one), withChunks(other, new Uint8Array(LENGTH), [2]))).toBe(true);
    expect(existsSync(leftover)).toBe(false);
  });

  it("fail with the reason when the disk is full", async () => {
    const directory = new ImageDirectory();
    const destination = await awaited(drive(directory.make("there", other)));
    const full = openSync("/dev/full", "r+");
    onTestFinished(() => closeSync(full));
    const [memory, file] = [destination.memories[0]!, directory.file("there")];
    const staged = new StagedDrive({ memory, staging: full, file, backing: undefined });
    await expect(staged.write(0, new Uint8Array(CHUNK_SIZE))).rejects.toMatchObject({
      code: "WRITE_FAILED",
      message: expect.stringMatching(/arrives for the drive '.*there' cannot be kept: ENOSPC/) as string,
    });
  });
});

describe("a drive that cannot be", () => {
  const directory = (): ImageDirectory => {
    const made = new ImageDirectory();
    made.make("base", image);
    made.make("longer", pattern(LENGTH + 1, 1));
    made.make("empty", new Uint8Array(0));
    return made;
  };

  it.each([
    ["missing", "missing", undefined, "NO_SUCH_FILE", /missing' of drive 'disk' does not exist$/],
    ["a directory", ".", undefined, "BAD_DRIVE", /is no regular file; name one/],
    ["without bytes", "empty", undefined, "BAD_DRIVE", /Drive 'disk' has no bytes; make its file as large/],
    [
      "without its backing file",
      "new",
      "missing",
      "NO_SUCH_FILE",
      /backing file '.*missing' of drive 'disk' does not exist/,
    ],
    ["on a directory", "new", ".", "BAD_DRIVE", /backing file .* is no regular file/],
    [
      "no overlay",
      "longer",
      "base",
      "BAD_DRIVE",
      /longer' is no overlay of '.*base'; name a new file, or leave out/,
    ],
    ["in no directory", "no/new", "base", "NO_SUCH_FILE", /new' of drive 'disk' does not exist/],
  ])("because it is %s", async (_why, file, backing, code, message) => {
    const files = directory();
    const options = drive(files.file(file), { backing: backing && files.file(backing) });
    await expect(NodeDrives.open([options])).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
    expect(readdirSync(files.path)).toEqual(["base", "empty", "longer"]);
  });

  it("because the overlay is that of another file, or of one that was changed, or taken for the whole", async () => {
    const files = directory();
    const top = files.file("top");
    await (await held(drive(top, { backing: files.file("base") }))).dispose();
    const open = (backing: string | undefined): Promise<NodeDrives> =>
      NodeDrives.open([drive(top, { backing })]);
    await expect(open(files.file("longer"))).rejects.toMatchObject({
      code: "BAD_DRIVE",
      message: expect.stringMatching(/top' is an overlay of '.*base', not of '.*longer'$/) as string,
    });
    await expect(open(undefined)).rejects.toMatchObject({
      code: "BAD_DRIVE",
      message: expect.stringMatching(/is an overlay; add backing=.*base$/) as string,
    });
    truncateSync(files.file("base"), LENGTH - 1);
    await expect(open(files.file("base"))).rejects.toMatchObject({
      code: "BAD_DRIVE",
      message: expect.stringMatching(/made of$/) as string,
    });
  });

  it("because two have a name, a file or a backing file in common", async () => {
    const files = directory();
    const [base, longer] = [files.file("base"), files.file("longer")];
    const refused = async (second: ReturnType<typeof drive>): Promise<void> =>
      expect(NodeDrives.awaited([drive(base), second])).rejects.toMatchObject({ code: "BAD_PARAMETER" });
    await refused(drive(longer));
    await refused(drive(base, { id: "two" }));
    await refused(drive(files.file("top"), { id: "two", backing: base }));
    await refused(drive(longer, { id: "../x" }));
  });
});

it("writes nothing more to a drive that it has given up", async () => {
  const directory = new ImageDirectory();
  const base = directory.make("base", image);
  const drives = await held(drive(directory.file("top"), { backing: base }));
  await drives.release();
  const before = readFileSync(directory.file("top"));
  contentsOf(drives).write(Uint8Array.of(1), CHUNK_SIZE);
  await drives.dispose();
  const after = readFileSync(directory.file("top"));
  // The map and the header; no thread of a guest that stands still writes the data.
  expect(same(after.subarray(4 * CHUNK_SIZE), before.subarray(4 * CHUNK_SIZE))).toBe(true);
});
