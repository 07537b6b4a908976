import { MigrationError } from "@peregrine/protocol";
import { Worker } from "node:worker_threads";

/** Starts a thread. @param ramModule as in {@link MigrationThreads.prepare}. Throws when the system has none. */
export type StartThread = (ramModule?: string) => Worker;

/**
 * Starts migration threads. One can be started before it is needed: its modules are loaded then, so a migration begins
 * to send at once, also on a host that has come under pressure meanwhile.
 */
export class MigrationThreads {
  readonly #start: StartThread;
  #spare: Worker | undefined;

  constructor(start: StartThread = startThread) {
    this.#start = start;
  }

  /**
   * Has a thread wait for the next {@link take}. Does nothing when one waits already, or none can be had.
   * @param ramModule that it will open guest memory by, if that is known.
   */
  prepare(ramModule?: string): void {
    if (this.#spare !== undefined) return;
    let spare: Worker;
    try {
      spare = this.#start(ramModule);
    } catch {
      // The next migration tries it again, and tells of it.
      return;
    }
    this.#spare = spare;
    const lost = (): void => {
      if (this.#spare === spare) this.#spare = undefined;
    };
    // The next migration starts another one, and tells of it if that fails, too.
    spare.on("error", lost);
    spare.on("exit", lost);
    spare.unref();
  }

  /** A thread that nobody else has. The first message to it is `run`. Errors: BLOCKED when none can be had. */
  take(): Worker {
    const spare = this.#spare ?? this.#started();
    this.#spare = undefined;
    spare.ref();
    return spare;
  }

  #started(): Worker {
    try {
      return this.#start();
    } catch (cause) {
      const { message } = cause as Error;
      const text = `This host has no thread for the migration (${message}): look at its limits of processes and memory`;
      throw new MigrationError("BLOCKED", text, { cause });
    }
  }

  /** Ends the one that waits. */
  async dispose(): Promise<void> {
    const spare = this.#spare;
    this.#spare = undefined;
    await spare?.terminate();
  }
}

function startThread(ramModule?: string): Worker {
  return new Worker(new URL("./migration-thread.ts", import.meta.url), {
    name: "migration",
    workerData: { ramModule },
    resourceLimits: { maxYoungGenerationSizeMb: 3 },
    // It closes descriptors that this thread was given.
    trackUnmanagedFds: false,
  });
}
