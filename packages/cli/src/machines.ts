import { ImageMachine } from "@peregrine/machine-image";
import { FixedMachine, WasmMachine } from "@peregrine/machine-wasm";
import type { Preopen, WasmMachineHost } from "@peregrine/machine-wasm";
import { defaultCacheDirectory, nodeFixedHost, nodeWasmHost } from "@peregrine/node-host";
import { MigrationError } from "@peregrine/protocol";
import { globalStateDevice, RunControl } from "@peregrine/shared-state";
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { GuestMachine } from "./agent.ts";
import type { RunOptions } from "./command-options.ts";

/** A machine with its run state, ready to be given to an agent. */
export interface ControlledMachine {
  readonly machine: GuestMachine;
  readonly run: RunControl;
}

/** A machine with a program that was not started yet. Errors: NO_SUCH_FILE, NOT_WASM, UNSUPPORTED_FEATURE, BAD_PARAMETER. */
export async function freshMachine(options: RunOptions): Promise<ControlledMachine> {
  const { program, args, environment, directories, stackMib } = options;
  const module = await readModule(program);
  const wasi = { args: [basename(program), ...args], env: environment, preopens: directories };
  const guest = { name: resolve(program), module, stackMib, wasi };
  if (!options.migratable) {
    const machine = await FixedMachine.create(nodeFixedHost({ stdin: process.stdin }), guest);
    return { machine, run: new RunControl(machine) };
  }
  const machine = await WasmMachine.create(wasmHost(), guest);
  const run = new RunControl(machine);
  machine.devices.register(globalStateDevice(run));
  return { machine, run };
}

/** A machine that waits for a guest. `directories`: those that are elsewhere than at the source. */
export function incomingMachine(directories: readonly Preopen[], autostart: boolean): ControlledMachine {
  const machine = WasmMachine.incoming(wasmHost(), directories);
  const run = new RunControl(machine, { initial: "inmigrate", autostart });
  machine.devices.register(globalStateDevice(run));
  return { machine, run };
}

/** A machine that waits for a virtual machine of QEMU, and holds it. `uuid`: what it is not sent with. */
export function heldImage(uuid: Uint8Array | undefined): { machine: ImageMachine; run: RunControl } {
  const machine = new ImageMachine({ uuid });
  return { machine, run: new RunControl(machine, { initial: "inmigrate" }) };
}

function wasmHost(): WasmMachineHost {
  return nodeWasmHost({ stdin: process.stdin, cacheDirectory: defaultCacheDirectory() });
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
