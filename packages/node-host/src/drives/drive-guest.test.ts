import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { FixedMachine, WasmMachine } from "@peregrine/machine-wasm";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { DevicePhase, Machine } from "@peregrine/shared-state";
import { openMachineRam } from "@peregrine/shared-state/testing";
import { describe, expect, it, onTestFinished } from "vitest";
import { referenceDrive } from "../../../../examples/guests/drive-reference.ts";
import { drive, ImageDirectory } from "../../test/drives.ts";
import { fieldsOf, guestModule, quietHost } from "../../test/guests.ts";
import { nodeFixedHost } from "../fixed-host.ts";
import type { DriveOptions } from "./drive-options.ts";
import { NodeDrives } from "./node-drives.ts";

const LENGTH = 3_000_000;
const OPERATIONS = 1500;

/** A guest that uses its drive `db`. */
async function databaseGuest(
  options: readonly DriveOptions[],
  args: readonly string[] = [],
  output?: number,
): Promise<WasmMachine> {
  const drives = await NodeDrives.open(options);
  const host = quietHost({ drives, ...(output === undefined ? {} : { output }) });
  const machine = await WasmMachine.create(host, {
    name: "drive",
    module: guestModule("drive"),
    stackMib: 16,
    wasi: {
      args: ["drive", "/drives/db", "--operations", String(OPERATIONS), "--sync", "50", ...args],
      env: [],
      preopens: [],
    },
  });
  onTestFinished(() => machine.dispose());
  return machine;
}

async function awaiting(...options: readonly DriveOptions[]): Promise<WasmMachine> {
  const drives = options.length === 0 ? undefined : await NodeDrives.awaited(options);
  const machine = WasmMachine.incoming(quietHost({ drives }));
  onTestFinished(() => machine.dispose());
  return machine;
}

async function moveDevices(from: Machine, to: Machine, phase: DevicePhase): Promise<void> {
  for (const saved of await from.devices.saveAll(phase))
    await to.devices.load(saved.name, saved.instance, fieldsOf(from, saved));
}

async function copyRam(from: Machine, to: Machine): Promise<void> {
  const [source, target] = [await openMachineRam(from), await openMachineRam(to)];
  const bytes = new Uint8Array(source.usedBytes(0));
  source.readPages(0, 0, bytes.length / PAGE_SIZE, bytes, 0);
  target.writePages(0, 0, bytes);
}

/** A pipe that nobody reads from, with room for a page: some 70 lines of a guest, which then waits. */
function shortPipe(directory: ImageDirectory): number {
  const path = directory.file("pipe");
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  onTestFinished(() => [reader, writer].forEach((end) => closeSync(end)));
  const page = new Uint8Array(4096);
  expect(() => {
    for (;;) writeSync(writer, page);
  }).toThrow("EAGAIN");
  readSync(reader, page);
  return writer;
}

/** Resolves when the guest has synced so many operations. */
async function synced(file: string, operations: number): Promise<void> {
  while (readFileSync(file).readUInt32LE(4) < operations)
    await new Promise((resolve) => setTimeout(resolve, 2));
}

const expected = (before: Uint8Array): Buffer => Buffer.from(referenceDrive(before, OPERATIONS));

it("a guest that writes to its drive goes on at another host, and the drive holds what it wrote", async () => {
  const directory = new ImageDirectory();
  const file = directory.make("db", new Uint8Array(LENGTH));
  // It tells of each operation, and so cannot come to its end before it is moved.
  const source = await databaseGuest([drive(file, { id: "db" })], ["--every", "1"], shortPipe(directory));
  const destination = await awaiting(drive(file, { id: "db" }));
  await source.start();
  await synced(file, 50);
  await source.startDirtyLog();
  await moveDevices(source, destination, "early");
  await source.stop();
  await copyRam(source, destination);
  await moveDevices(source, destination, "late");
  await source.drives!.release();
  await expect(destination.drives!.reclaim()).rejects.toMatchObject({ code: "WRONG_STATE" });
  await destination.drives!.takeOver();
  await expect(source.drives!.reclaim()).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
  expect(readFileSync(file).readUInt32LE(4)).toBeLessThan(OPERATIONS);
  await destination.start();
  expect(await destination.exited).toEqual({ kind: "exit", status: 0 });
  await destination.dispose();
  expect(expected(new Uint8Array(LENGTH)).equals(readFileSync(file))).toBe(true);
});

it("a guest whose drives were released goes on with them when nobody has taken them", async () => {
  const directory = new ImageDirectory();
  const base = new Uint8Array(LENGTH).fill(0x5a);
  const file = directory.make("db", base);
  const source = await databaseGuest([drive(file, { id: "db" })], ["--pause", "100"]);
  await source.start();
  await synced(file, 50);
  await source.stop();
  await source.drives!.release();
  await source.drives!.reclaim();
  await source.start();
  expect(await source.exited).toEqual({ kind: "exit", status: 0 });
  expect(expected(base).equals(readFileSync(file))).toBe(true);
});

it("a program that stays on its host has drives as well", async () => {
  const directory = new ImageDirectory();
  const file = directory.make("db", new Uint8Array(LENGTH));
  const drives = await NodeDrives.open([drive(file, { id: "db" })]);
  const nowhere = openSync("/dev/null", "w");
  onTestFinished(() => closeSync(nowhere));
  const machine = await FixedMachine.create(
    nodeFixedHost({ stdin: undefined, outputs: { 1: nowhere, 2: nowhere }, drives }),
    {
      name: "drive",
      module: guestModule("drive"),
      stackMib: 16,
      wasi: { args: ["drive", "/drives/db", "--operations", String(OPERATIONS)], env: [], preopens: [] },
    },
  );
  await machine.start();
  expect(await machine.exited).toEqual({ kind: "exit", status: 0 });
  await expect(NodeDrives.open([drive(file)])).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
  await machine.dispose();
  await (await NodeDrives.open([drive(file)])).dispose();
});

describe("a destination whose drives are not the guest's", () => {
  async function refusal(own: readonly DriveOptions[], ...guest: readonly DriveOptions[]): Promise<unknown> {
    const source = await databaseGuest(guest);
    await source.startDirtyLog();
    const destination = await awaiting(...own);
    const outcome = await moveDevices(source, destination, "early").catch((error: unknown) => error);
    await Promise.all([source.dispose(), destination.dispose()]);
    return outcome;
  }

  it("says so before anything else is loaded", async () => {
    const directory = new ImageDirectory();
    const db = drive(directory.make("db", new Uint8Array(LENGTH)), { id: "db" });
    const log = drive(directory.make("log", new Uint8Array(10)), { id: "log" });
    const shorter = drive(directory.make("shorter", new Uint8Array(LENGTH - 1)), { id: "db" });
    const cases: [DriveOptions[], DriveOptions[], RegExp][] = [
      [[], [db], /: its drive 'db' of 3000000 bytes is missing; give it by --drive$/],
      [[shorter], [db], /: its drive 'db' has 3000000 bytes at the source and 2999999 here$/],
      [[db, log], [db], /: it has no drive 'log'; leave out that --drive$/],
      [[db], [], /: it has no drive 'db'; leave out that --drive$/],
      [[shorter], [db, log], /2999999 here; its drive 'log' of 10 bytes is missing;/],
    ];
    for (const [own, guest, message] of cases) {
      const error = await refusal(own, ...guest);
      expect(error).toMatchObject({ code: "BAD_DRIVE", message: expect.stringMatching(message) as string });
    }
    expect(await refusal([log, db], db, log)).toBeUndefined();
  });
});

it("no directory can be where the drives are", async () => {
  const directory = new ImageDirectory();
  const options = drive(directory.make("db", new Uint8Array(LENGTH)), { id: "db" });
  const preopens = [{ guestPath: "/drives", hostPath: directory.path }];
  const guest = {
    name: "drive",
    module: guestModule("drive"),
    stackMib: 16,
    wasi: { args: [], env: [], preopens },
  };
  const create = async (): Promise<unknown> =>
    WasmMachine.create(quietHost({ drives: await NodeDrives.open([options]) }), guest);
  await expect(create()).rejects.toMatchObject({ code: "BAD_PARAMETER" });
  // The failure has given the drives up.
  await expect(create()).rejects.toMatchObject({ code: "BAD_PARAMETER" });
  const drives = await NodeDrives.awaited([options]);
  expect(() =>
    WasmMachine.incoming(quietHost({ drives }), { given: preopens, othersAsAtSource: false }),
  ).toThrow(/find/);
});

it("a guest without drives sends the sections that it always sent", async () => {
  const source = await WasmMachine.create(quietHost(), {
    name: "drive",
    module: guestModule("drive"),
    stackMib: 16,
    wasi: { args: ["drive"], env: [], preopens: [] },
  });
  onTestFinished(() => source.dispose());
  await source.startDirtyLog();
  expect((await source.devices.saveAll("early")).map(({ name }) => name)).toEqual([
    "wasm-module",
    "wasi-setup",
  ]);
});
