import { writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { ReadinessThreadData } from "./readiness-thread.ts";
import type { SystemCalls } from "./system-calls.ts";

const STOP_ID = 0;

/** One descriptor that is watched. */
export interface Watch {
  /** Has the callback called when the descriptor can be read from, once. */
  arm(): void;
  /** Before the descriptor is closed, if it can be; the system forgets those that are closed. */
  end(): void;
}

/**
 * Says when sockets can be read from that Node does not read itself. One thread sleeps for all of them: nothing is
 * polled, and a socket that nobody wants to read is not looked at.
 */
export class Readiness {
  readonly #calls: SystemCalls;
  readonly #set: number;
  readonly #callbacks = new Map<number, () => void>();
  #lastId = STOP_ID;
  #worker: Worker | undefined;

  constructor(calls: SystemCalls) {
    this.#calls = calls;
    this.#set = calls.createWatch();
  }

  watch(descriptor: number, callback: () => void): Watch {
    this.#startThread();
    const id = ++this.#lastId;
    let isNew = true;
    return {
      arm: () => {
        this.#callbacks.set(id, callback);
        this.#calls.watch(this.#set, isNew ? "add" : "again", descriptor, id);
        isNew = false;
      },
      end: () => {
        this.#callbacks.delete(id);
        if (!isNew) this.#calls.unwatch(this.#set, descriptor);
      },
    };
  }

  #startThread(): void {
    if (this.#worker !== undefined) return;
    const workerData: ReadinessThreadData = { set: this.#set, stopId: STOP_ID };
    this.#worker = new Worker(new URL("./readiness-thread.ts", import.meta.url), {
      name: "readiness",
      workerData,
    });
    this.#worker.on("message", (ready: number[]) => {
      for (const id of ready) this.#callbacks.get(id)?.();
    });
    this.#worker.unref();
    this.#stopWithProcess();
  }

  /** A process that ends waits for its threads, and this one would sleep for ever. */
  #stopWithProcess(): void {
    const stop = this.#calls.createEvent();
    this.#calls.watch(this.#set, "add", stop, STOP_ID);
    process.once("exit", () => writeSync(stop, new BigUint64Array([1n])));
  }
}
