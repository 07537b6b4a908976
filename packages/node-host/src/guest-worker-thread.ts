import { Worker } from "node:worker_threads";
import type { GuestReport, GuestThread, GuestThreadData } from "@peregrine/machine-wasm";
import type { DriveMemory } from "./drives/drive-memory.ts";

export type ConsoleOutputs = Readonly<Record<1 | 2, number>>;

/** What the guest worker is started with. */
export interface GuestWorkerData {
  readonly thread: GuestThreadData;
  /** Console input; see ConsoleInput. */
  readonly input: SharedArrayBuffer;
  /** Descriptors of this process that the guest's standard output and error go to. */
  readonly outputs: ConsoleOutputs;
  readonly drives: readonly DriveMemory[];
}

/** Starts a guest thread as a worker of this process. */
export function startGuestWorker(data: GuestWorkerData, stackMib: number): GuestThread {
  const worker = new Worker(new URL("guest-worker.ts", import.meta.url), {
    workerData: data,
    // The guest's console is this process's own descriptors; nothing goes through the worker's streams.
    resourceLimits: { stackSizeMb: stackMib, maxYoungGenerationSizeMb: 3 },
  });
  let terminated = false;
  return {
    post: (command) => worker.postMessage(command),
    onReport: (listener) => void worker.on("message", (report: GuestReport) => listener(report)),
    onFailure: (listener) => {
      worker.on("error", listener);
      worker.on("exit", () => {
        if (!terminated) listener(new Error("it stopped without a reason"));
      });
    },
    terminate: async () => {
      terminated = true;
      await worker.terminate();
    },
  };
}
