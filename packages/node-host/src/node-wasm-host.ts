import type { Readable } from "node:stream";
import { adviseHugePages } from "@peregrine/host-memory";
import type { ConsoleSource, WasmMachineHost } from "@peregrine/machine-wasm";
import { guestFiles } from "./drives/guest-files.ts";
import type { NodeDrives } from "./drives/node-drives.ts";
import { type ConsoleOutputs, startGuestWorker, WaitingGuestWorker } from "./guest-worker-thread.ts";
import { ConsoleInput } from "./host-console.ts";
import { prepareProgram, validateProgram } from "./prepare-program.ts";
import { ProgramCache } from "./program-cache.ts";

/** What a WebAssembly guest is given of this process. */
export interface NodeWasmHostOptions {
  /** What the guest reads as its console; undefined for none. */
  readonly stdin: Readable | undefined;
  /** Descriptors for its standard output and error: 1 and 2 unless told otherwise. */
  readonly outputs?: ConsoleOutputs;
  /** Where rewritten modules are kept; undefined keeps none. */
  readonly cacheDirectory: string | undefined;
  /** Default: the guest has none. The machine disposes of them. */
  readonly drives?: NodeDrives | undefined;
  /** Has a thread wait for the guest, which is to arrive and has so many MiB of stack at its source. Default: none. */
  readonly awaitedStackMib?: number;
}

/** This process as the host of a WebAssembly machine. */
export function nodeWasmHost({
  stdin,
  outputs = { 1: 1, 2: 2 },
  cacheDirectory,
  drives,
  awaitedStackMib,
}: NodeWasmHostOptions): WasmMachineHost {
  let wakeGuest = (): void => undefined;
  const input = new ConsoleInput(() => wakeGuest());
  const cache = cacheDirectory === undefined ? undefined : new ProgramCache(cacheDirectory);
  const memories = drives?.memories ?? [];
  const surroundings = { input: input.memory, outputs, drives: memories };
  const waiting =
    awaitedStackMib === undefined ? undefined : new WaitingGuestWorker(surroundings, awaitedStackMib);
  return {
    adviseMemory: (memory, maximumBytes) => adviseHugePages(new Uint8Array(memory.buffer), maximumBytes),
    validate: validateProgram,
    prepare: (module) => prepareProgram(module, cache),
    startThread: (thread, stackMib) =>
      waiting?.take(thread, stackMib) ?? startGuestWorker({ ...surroundings, thread }, stackMib),
    files: guestFiles(memories),
    drives,
    input: consoleSource(input, stdin, (wake) => (wakeGuest = wake)),
  };
}

/** Attaches `input` to `stdin` while the guest runs. */
export function consoleSource(
  input: ConsoleInput,
  stdin: Readable | undefined,
  onWake: (wake: () => void) => void,
): ConsoleSource {
  let attached = false;
  return {
    attach: (wake) => {
      onWake(wake);
      if (attached || stdin === undefined) return;
      attached = true;
      input.attach(stdin);
    },
    detach: () => {
      if (attached) input.detach();
      attached = false;
    },
    unread: () => input.unread(),
  };
}
