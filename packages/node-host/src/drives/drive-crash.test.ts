import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { operation, OPERATIONS_PER_SYNC } from "../../test/drive-operations.ts";
import { bytesOf, drive, ImageDirectory } from "../../test/drives.ts";
import { pattern } from "../../test/pattern.ts";
import type { DriveOptions } from "./drive-options.ts";
import { NodeDrives } from "./node-drives.ts";

const PROCESS = fileURLToPath(new URL("../../test/drive-process.ts", import.meta.url));
const LENGTH = 3_000_001;

type Holder = ChildProcessByStdio<Writable, Readable, null>;

function start(options: DriveOptions, ...args: readonly string[]): Holder {
  const child = spawn(process.execPath, [PROCESS, JSON.stringify(options), ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

/** Lets a process write behind operation `done`, kills it after so many syncs, and tells up to where it had synced. */
async function writeAndDie(options: DriveOptions, done: number, syncs: number): Promise<number> {
  const child = start(options, String(done + 1));
  let synced = done;
  let lines = 0;
  for await (const line of createInterface(child.stdout)) {
    if (line !== "held") synced = Number(line);
    if (lines++ === syncs) child.kill("SIGKILL");
  }
  return synced;
}

function apply(model: Uint8Array, from: number, to: number): void {
  for (let number = from; number <= to; number++) {
    const { position, bytes } = operation(number, model.length);
    model.set(bytes, position);
  }
}

it("of a process that is killed, everything is there that it had synced, and nothing that nobody wrote", async () => {
  const directory = new ImageDirectory();
  const base = directory.make("base", pattern(LENGTH, 1));
  const options = drive(directory.file("top"), { backing: base });
  const model = pattern(LENGTH, 1);
  let synced = 0;
  for (const syncs of [1, 3, 6, 2]) {
    const before = synced;
    synced = await writeAndDie(options, before, syncs);
    apply(model, before + 1, synced);
    const drives = await NodeDrives.open([options]);
    const found = bytesOf(drives);
    await drives.dispose();
    // Each byte that differs was written by an operation behind the last sync that was heard of.
    const later = Uint8Array.from(model);
    for (let number = synced + 1; number <= synced + 2 * OPERATIONS_PER_SYNC; number++) {
      const { position, bytes } = operation(number, LENGTH);
      for (let at = 0; at < bytes.length; at++) {
        if (found[position + at] === bytes[at]) later[position + at] = bytes[at]!;
      }
    }
    expect(synced).toBeGreaterThan(before);
    expect(Buffer.compare(found, later)).toBe(0);
    // What was written and not synced is written again by the next process, as by a program that starts again.
    model.set(found);
  }
});

/** A process that holds a drive. */
async function hold(options: DriveOptions): Promise<Holder> {
  const holder = start(options);
  await once(createInterface(holder.stdout), "line");
  return holder;
}

const open = async (...options: readonly DriveOptions[]): Promise<void> =>
  (await NodeDrives.open(options)).dispose();

it("an overlay is its process's alone until that ends in whatever way, and its backing file is nobody's to write", async () => {
  const directory = new ImageDirectory();
  const base = directory.make("base", pattern(LENGTH, 1));
  const top = drive(directory.file("top"), { backing: base });
  const holder = await hold(top);
  const refusal = `The overlay '${top.file}' of drive 'disk' is in use by another process; end the guest`;
  await expect(open(top)).rejects.toMatchObject({
    code: "DRIVE_LOCKED",
    message: expect.stringContaining(refusal) as string,
  });
  await expect(open(drive(base))).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
  await open(drive(directory.file("other"), { backing: base }));
  await open({ ...top, lock: false });
  holder.kill("SIGKILL");
  await once(holder, "exit");
  await open(top);
  await open(drive(base));
});

it("an image is its process's alone, as a backing file too", async () => {
  const directory = new ImageDirectory();
  const image = directory.make("image", pattern(LENGTH, 2));
  await hold(drive(image));
  await expect(open(drive(image))).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
  const top = drive(directory.file("top"), { backing: image });
  await expect(open(top)).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
});
