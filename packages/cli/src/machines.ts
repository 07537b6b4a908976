import { ImageMachine } from "@peregrine/machine-image";
import { FixedMachine, WasmMachine } from "@peregrine/machine-wasm";
import type { WasmMachineHost } from "@peregrine/machine-wasm";
import { defaultCacheDirectory, nodeFixedHost, NodeDrives, nodeWasmHost } from "@peregrine/node-host";
import { MigrationError } from "@peregrine/protocol";
import { globalStateDevice, RunControl } from "@peregrine/shared-state";
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { acceptedMemory } from "./accepted-memory.ts";
import type { GuestMachine } from "./guest-machine.ts";
import { DEFAULT_STACK_MIB } from "./command-options.ts";
import type { ReceiveGuestOptions, RunOptions } from "./command-options.ts";

/** A machine with its run state, ready to be given to an agent. */
export interface ControlledMachine {
  readonly machine: GuestMachine;
  readonly run: RunControl;
}

/**
 * A machine with a program that was not started yet.
 * Errors: NO_SUCH_FILE, NOT_WASM, UNSUPPORTED_FEATURE, BAD_PARAMETER; BAD_DRIVE, DRIVE_LOCKED, NO_DRIVE_LOCKS.
 */
export async function freshMachine(options: RunOptions): Promise<ControlledMachine> {
  const { program, args, environment, directories, stackMib } = options;
  const module = await readModule(program);
  const wasi = { args: [basename(program), ...args], env: environment, preopens: directories };
  const guest = { name: resolve(program), module, stackMib, wasi };
  const drives = options.drives.length === 0 ? undefined : await NodeDrives.open(options.drives);
  if (!options.migratable) {
    const machine = await FixedMachine.create(nodeFixedHost({ stdin: process.stdin, drives }), guest);
    return { machine, run: new RunControl(machine) };
  }
  const machine = await WasmMachine.create(wasmHost(drives), guest);
  const run = new RunControl(machine);
  machine.devices.register(globalStateDevice(run));
  return { machine, run };
}

/**
 * A machine that waits for a guest with `drives`, which may have `directories` of this host. The guest never has more
 * memory than `maxRam`; how large its RAM block is, is decided by its program.
 * Errors: NO_SUCH_FILE, BAD_PARAMETER, BAD_DRIVE, NO_DRIVE_LOCKS.
 */
export async function incomingMachine(options: ReceiveGuestOptions): Promise<ControlledMachine> {
  const { directories, sourceDirectories, paused, maxRam } = options;
  const drives = options.drives.length === 0 ? undefined : await NodeDrives.awaited(options.drives);
  const host = wasmHost(drives, DEFAULT_STACK_MIB);
  const arrival = { given: directories, othersAsAtSource: sourceDirectories };
  const machine = WasmMachine.incoming(host, arrival, acceptedMemory(maxRam));
  const run = new RunControl(machine, { initial: "inmigrate", autostart: !paused });
  machine.devices.register(globalStateDevice(run));
  return { machine, run };
}

/** A machine that waits for a virtual machine of QEMU, and holds it. `uuid`: what it is not sent with. */
export function heldImage(uuid: Uint8Array | undefined): { machine: ImageMachine; run: RunControl } {
  const machine = new ImageMachine({ uuid });
  return { machine, run: new RunControl(machine, { initial: "inmigrate" }) };
}

/** @param awaitedStackMib of a guest that is to arrive: what most have. */
function wasmHost(drives: NodeDrives | undefined, awaitedStackMib?: number): WasmMachineHost {
  return nodeWasmHost({
    stdin: process.stdin,
    cacheDirectory: defaultCacheDirectory(),
    drives,
    ...(awaitedStackMib === undefined ? {} : { awaitedStackMib }),
  });
}

async function readModule(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = REASONS[(cause as NodeJS.ErrnoException).code ?? ""] ?? (cause as Error).message;
    throw new MigrationError("NO_SUCH_FILE", `The program ${path} cannot be read: ${reason}`, { cause });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
};
