import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { CHUNK_SIZE, DirtyBitmap } from "@peregrine/shared-state";
import { describe, expect, it, onTestFinished } from "vitest";
import { operation } from "../../test/drive-operations.ts";
import type { DriveWriterData } from "../../test/drive-writer.ts";
import { bytesOf, drive, held, ImageDirectory, outgoing } from "../../test/drives.ts";
import { pattern } from "../../test/pattern.ts";
import type { DriveMemory } from "./drive-memory.ts";

const LENGTH = 5 * CHUNK_SIZE + 12_345;
const CHUNKS = Math.ceil(LENGTH / CHUNK_SIZE);
const WRITES = 300;

/** A guest's thread that writes when its first word changes. @returns its words. */
async function startWriter(memory: DriveMemory): Promise<Int32Array> {
  const words = new SharedArrayBuffer(8);
  const workerData: DriveWriterData = { memory, words };
  const worker = new Worker(new URL("../../test/drive-writer.ts", import.meta.url), { workerData });
  onTestFinished(async () => void (await worker.terminate()));
  await once(worker, "online");
  return new Int32Array(words);
}

describe.each(["an image", "an overlay"])("%s that is read while the guest writes", (kind) => {
  it("has all of each write that has ended: none is lost between the log and the reading", async () => {
    const directory = new ImageDirectory();
    const base = directory.make("base", pattern(LENGTH, 1));
    const options = kind === "an image" ? drive(base) : drive(directory.file("top"), { backing: base });
    const drives = await held(options);
    const source = await outgoing(drives);
    const words = await startWriter(drives.memories[0]!);
    const dirty = new DirtyBitmap(CHUNKS);
    const copy = new Uint8Array(CHUNKS * CHUNK_SIZE);
    const sendDirty = async (): Promise<void> => {
      while (dirty.takeRun(0, 1) > 0) {
        const at = dirty.runStart * CHUNK_SIZE;
        await source.read(0, dirty.runStart, copy.subarray(at, at + CHUNK_SIZE));
      }
    };
    dirty.setAll();
    await sendDirty();
    for (let number = 1; number <= WRITES; number++) {
      Atomics.store(words, 0, number);
      Atomics.notify(words, 0);
      while (Atomics.load(words, 1) !== number) {
        source.harvest([dirty]);
        await sendDirty();
      }
      source.harvest([dirty]);
      await sendDirty();
      const { position, bytes } = operation(number, LENGTH);
      expect(Buffer.compare(copy.subarray(position, position + bytes.length), bytes)).toBe(0);
    }
    expect(Buffer.compare(copy.subarray(0, LENGTH), bytesOf(drives))).toBe(0);
    expect(copy.subarray(LENGTH).every((byte) => byte === 0)).toBe(true);
    await source.close();
  });
});
