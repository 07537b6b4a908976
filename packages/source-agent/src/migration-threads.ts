import { Worker } from "node:worker_threads";

/**
 * Starts migration threads. One can be started before it is needed: its modules are loaded then, so a migration begins
 * to send at once, also on a host that has come under pressure meanwhile.
 */
export class MigrationThreads {
  #spare: Worker | undefined;

  /**
   * Has a thread wait for the next {@link take}. Does nothing when one waits already.
   * @param ramModule that it will open guest memory by, if that is known.
   */
  prepare(ramModule?: string): void {
    if (this.#spare !== undefined) return;
    const spare = startThread(ramModule);
    this.#spare = spare;
    const lost = (): void => {
      if (this.#spare === spare) this.#spare = undefined;
    };
    // The next migration starts another one, and tells of it if that fails, too.
    spare.on("error", lost);
    spare.on("exit", lost);
    spare.unref();
  }

  /** A thread that nobody else has. The first message to it is `run`. */
  take(): Worker {
    const spare = this.#spare ?? startThread();
    this.#spare = undefined;
    spare.ref();
    return spare;
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
