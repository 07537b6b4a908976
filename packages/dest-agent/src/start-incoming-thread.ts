import { MigrationError } from "@peregrine/protocol";
import { Worker } from "node:worker_threads";
import type { IncomingTask, ThreadMessage } from "./incoming-messages.ts";

const ENTRY = new URL("incoming-thread.ts", import.meta.url);

interface IncomingThreadEvents {
  readonly message: (message: ThreadMessage) => void;
  /** It has ended, in whatever way. Called also when everything went well. */
  readonly ended: (error: MigrationError) => void;
}

export function startIncomingThread(task: IncomingTask, { message, ended }: IncomingThreadEvents): Worker {
  const worker = new Worker(ENTRY, {
    workerData: task,
    name: "incoming",
    resourceLimits: { maxYoungGenerationSizeMb: 3 },
    // It closes descriptors that this thread was given.
    trackUnmanagedFds: false,
  });
  worker.on("message", message);
  worker.on("error", (error) => ended(MigrationError.from(error)));
  worker.on("exit", () =>
    ended(new MigrationError("INTERNAL", "The incoming thread has ended unexpectedly")),
  );
  return worker;
}
