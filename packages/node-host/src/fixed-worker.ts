/** The thread of a guest that stays on this host: runs one unmodified WebAssembly program. */
import { parentPort, workerData } from "node:worker_threads";
import { GuestExitSignal, WasiHost } from "@peregrine/machine-wasm";
import type { GuestControl } from "@peregrine/machine-wasm";
import { MigrationError } from "@peregrine/protocol";
import type { GuestExit } from "@peregrine/shared-state";
import { guestFiles } from "./drives/guest-files.ts";
import { FIXED_WORD } from "./fixed-messages.ts";
import type { FixedReport, FixedWorkerData } from "./fixed-messages.ts";
import { NodeClock } from "./host-clock.ts";
import { GuestConsole } from "./host-console.ts";
import { NodeRandom } from "./host-random.ts";
import { compileProgram } from "./prepare-program.ts";

const WASM_PAGE = 65536;
/** Longest single wait in milliseconds: `Atomics.wait` takes any, a deadline that is further away is looked at again. */
const LONGEST_WAIT_MS = 2 ** 30;

const { guest, words: shared, input, outputs, drives } = workerData as FixedWorkerData;
const words = new Int32Array(shared);
const clock = new NodeClock();
const report = (message: FixedReport): void => parentPort!.postMessage(message);

/** What a host call sees that a start function makes: the instance cannot be asked for its memory yet. */
const NO_MEMORY = new ArrayBuffer(0);

let memory: WebAssembly.Memory | undefined;
let seenWakes = 0;

const control: GuestControl = {
  interrupted: () => false,
  wait(deadlineNs) {
    const left = deadlineNs === undefined ? LONGEST_WAIT_MS : Number(deadlineNs - clock.monotonicNs()) / 1e6;
    if (left > 0) Atomics.wait(words, FIXED_WORD.wakes, seenWakes, Math.min(left, LONGEST_WAIT_MS));
    seenWakes = Atomics.load(words, FIXED_WORD.wakes);
  },
  unwind() {
    throw new MigrationError("INTERNAL", "nobody asks this guest to unwind");
  },
  markDirty() {
    // Nothing reads a log of this guest's memory.
  },
};

function noteMemorySize({ buffer }: WebAssembly.Memory): void {
  Atomics.store(words, FIXED_WORD.memoryPages, buffer.byteLength / WASM_PAGE);
}

async function instantiate(): Promise<() => void> {
  const module = await compileProgram(guest.module);
  const wasi = new WasiHost({
    memory: {
      get buffer() {
        if (memory === undefined) return NO_MEMORY;
        noteMemorySize(memory);
        return memory.buffer;
      },
    },
    files: guestFiles(drives),
    clock,
    random: new NodeRandom(),
    console: new GuestConsole(input, outputs),
    control,
    config: guest.wasi,
  });
  const { exports } = new WebAssembly.Instance(module, { wasi_snapshot_preview1: { ...wasi.imports } });
  const { _start: start, memory: exported } = exports;
  if (typeof start !== "function" || !(exported instanceof WebAssembly.Memory)) {
    throw new MigrationError(
      "UNSUPPORTED_FEATURE",
      "The module is no WASI command: it has to export _start and memory",
    );
  }
  memory = exported;
  noteMemorySize(exported);
  return start;
}

function run(start: () => void): GuestExit {
  try {
    start();
    return { kind: "exit", status: 0 };
  } catch (error) {
    if (error instanceof GuestExitSignal) return { kind: "exit", status: error.status };
    return { kind: "trap", message: error instanceof Error ? error.message : String(error) };
  }
}

try {
  const start = await instantiate();
  parentPort!.once("message", () => report({ kind: "exited", exit: run(start) }));
  report({ kind: "ready" });
} catch (error) {
  // The engine throws a LinkError for an import that WASI preview 1 does not have.
  report({ kind: "failed", error: MigrationError.from(error, "UNSUPPORTED_FEATURE").serialize() });
}
