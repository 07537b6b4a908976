import { readSync, writeSync } from "node:fs";
import type { SystemCalls } from "./system-calls.ts";

const WAKE_ID = 0;
const COUNTER_BYTES = 8;

/** One descriptor that is watched. */
export interface Watch {
  /** Has the callback called when the descriptor can be read from, once. */
  arm(): void;
  /** Before the descriptor is closed, if it can be; the system forgets those that are closed. */
  end(): void;
}

/**
 * Says when sockets can be read from that Node does not read itself. As long as one is armed, a thread of Node's pool
 * sleeps for all of them, which keeps the process going: nothing is polled, and a socket that nobody wants to read is not
 * looked at. An isolate of its own would cost ten megabytes.
 */
export class Readiness {
  readonly #calls: SystemCalls;
  readonly #set: number;
  /** Ends a wait that nothing else ends. */
  readonly #wake: number;
  readonly #armed = new Map<number, () => void>();
  #lastId = WAKE_ID;
  #waiting = false;

  constructor(calls: SystemCalls) {
    this.#calls = calls;
    this.#set = calls.createWatch();
    this.#wake = calls.createEvent();
    calls.watch(this.#set, "add", this.#wake, WAKE_ID);
    // A process that ends waits for its threads.
    process.once("exit", () => this.#endWait());
  }

  watch(descriptor: number, callback: () => void): Watch {
    const id = ++this.#lastId;
    let isNew = true;
    return {
      arm: () => {
        this.#armed.set(id, callback);
        this.#calls.watch(this.#set, isNew ? "add" : "again", descriptor, id);
        isNew = false;
        if (!this.#waiting) void this.#wait();
      },
      end: () => {
        if (!isNew) this.#calls.unwatch(this.#set, descriptor);
        if (this.#armed.delete(id) && this.#armed.size === 0) this.#endWait();
      },
    };
  }

  /** What is armed during the wait is waited for, too. */
  async #wait(): Promise<void> {
    this.#waiting = true;
    while (this.#armed.size > 0) {
      for (const id of await this.#calls.waitForWatched(this.#set)) this.#ready(id);
    }
    this.#waiting = false;
  }

  #ready(id: number): void {
    if (id === WAKE_ID) {
      readSync(this.#wake, new Uint8Array(COUNTER_BYTES));
      this.#calls.watch(this.#set, "again", this.#wake, WAKE_ID);
      return;
    }
    const callback = this.#armed.get(id);
    this.#armed.delete(id);
    callback?.();
  }

  #endWait(): void {
    if (this.#waiting) writeSync(this.#wake, new BigUint64Array([1n]));
  }
}
