import { Worker } from "node:worker_threads";
import type { FixedGuest, FixedMachineHost, FixedThread } from "@peregrine/machine-wasm";
import { MigrationError } from "@peregrine/protocol";
import type { GuestExit } from "@peregrine/shared-state";
import { FIXED_WORD } from "./fixed-messages.ts";
import type { FixedReport, FixedWorkerData } from "./fixed-messages.ts";
import { ConsoleInput } from "./host-console.ts";
import { consoleSource } from "./node-wasm-host.ts";
import type { NodeWasmHostOptions } from "./node-wasm-host.ts";

const WASM_PAGE = 65536;

/** This process as the host of a program that stays on it. */
export function nodeFixedHost({
  stdin,
  outputs = { 1: 1, 2: 2 },
  drives,
}: Omit<NodeWasmHostOptions, "cacheDirectory">): FixedMachineHost {
  let wakeGuest: (() => void) | undefined;
  const input = new ConsoleInput(() => wakeGuest?.());
  return {
    startThread: (guest) =>
      startFixedWorker(
        { guest, words: newWords(), input: input.memory, outputs, drives: drives?.memories ?? [] },
        guest,
      ),
    drives,
    input: consoleSource(input, stdin, (wake) => (wakeGuest = wake)),
  };
}

function newWords(): SharedArrayBuffer {
  return new SharedArrayBuffer(Object.keys(FIXED_WORD).length * Int32Array.BYTES_PER_ELEMENT);
}

function startFixedWorker(data: FixedWorkerData, { stackMib }: FixedGuest): FixedThread {
  const words = new Int32Array(data.words);
  const worker = new Worker(new URL("fixed-worker.ts", import.meta.url), {
    workerData: data,
    resourceLimits: { stackSizeMb: stackMib },
  });
  const ready = Promise.withResolvers<void>();
  const exited = Promise.withResolvers<GuestExit>();
  worker.on("message", (report: FixedReport) => {
    if (report.kind === "ready") ready.resolve();
    else if (report.kind === "failed") ready.reject(MigrationError.deserialize(report.error));
    else exited.resolve(report.exit);
  });
  const onEnd = (why: string): void => {
    ready.reject(new MigrationError("GUEST_TRAP", `The guest thread ended: ${why}`));
    exited.resolve({ kind: "trap", message: `the guest thread ended: ${why}` });
  };
  worker.on("error", (error: Error) => onEnd(error.message));
  worker.on("exit", () => onEnd("it was stopped"));
  return {
    ready: ready.promise,
    exited: exited.promise,
    get memoryBytes() {
      return Atomics.load(words, FIXED_WORD.memoryPages) * WASM_PAGE;
    },
    start: () => worker.postMessage("run"),
    wake: () => {
      Atomics.add(words, FIXED_WORD.wakes, 1);
      Atomics.notify(words, FIXED_WORD.wakes);
    },
    terminate: async () => void (await worker.terminate()),
  };
}
