import { Worker } from "node:worker_threads";
import type { GuestReport, GuestThread, GuestThreadData } from "@peregrine/machine-wasm";
import type { DriveMemory } from "./drives/drive-memory.ts";

export type ConsoleOutputs = Readonly<Record<1 | 2, number>>;

/** What a guest worker has from its host, whatever it runs. */
export interface GuestSurroundings {
  /** Console input; see ConsoleInput. */
  readonly input: SharedArrayBuffer;
  /** Descriptors of this process that the guest's standard output and error go to. */
  readonly outputs: ConsoleOutputs;
  readonly drives: readonly DriveMemory[];
}

/** What the guest worker is started with. Without a guest it waits for one, which is its first message. */
export interface GuestWorkerData extends GuestSurroundings {
  readonly thread: GuestThreadData | undefined;
}

/** Starts a guest thread as a worker of this process. */
export function startGuestWorker(data: GuestWorkerData, stackMib: number): GuestThread {
  return guestThread(openWorker(data, stackMib));
}

/**
 * A worker that waits for a guest, so that the guest does not have to wait for it. It keeps no process alive, and one that
 * has ended meanwhile is no failure: the guest gets another one.
 */
export class WaitingGuestWorker {
  readonly #stackMib: number;
  #worker: Worker | undefined;

  constructor(surroundings: GuestSurroundings, stackMib: number) {
    this.#stackMib = stackMib;
    const worker = openWorker({ ...surroundings, thread: undefined }, stackMib);
    worker.unref();
    worker.on("error", this.#gone).on("exit", this.#gone);
    this.#worker = worker;
  }

  readonly #gone = (): void => {
    this.#worker = undefined;
  };

  /** Gives it a guest, once. @returns undefined when it is of no use for one with such a stack. */
  take(thread: GuestThreadData, stackMib: number): GuestThread | undefined {
    const worker = this.#worker;
    if (worker === undefined) return undefined;
    worker.off("error", this.#gone).off("exit", this.#gone);
    this.#worker = undefined;
    if (stackMib !== this.#stackMib) {
      void worker.terminate();
      return undefined;
    }
    worker.ref();
    worker.postMessage(thread);
    return guestThread(worker);
  }
}

function openWorker(data: GuestWorkerData, stackMib: number): Worker {
  return new Worker(new URL("guest-worker.ts", import.meta.url), {
    workerData: data,
    // The guest's console is this process's own descriptors; nothing goes through the worker's streams.
    resourceLimits: { stackSizeMb: stackMib, maxYoungGenerationSizeMb: 3 },
  });
}

function guestThread(worker: Worker): GuestThread {
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
