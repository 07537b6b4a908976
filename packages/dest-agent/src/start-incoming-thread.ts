import { MigrationError } from "@peregrine/protocol";
import { Worker } from "node:worker_threads";
import type { IncomingTask, ThreadMessage } from "./incoming-messages.ts";

const ENTRY = new URL("incoming-thread.ts", import.meta.url);

interface IncomingThreadEvents {
  readonly message: (message: ThreadMessage) => void;
  /** It has ended, in whatever way. Called also when everything went well. */
  readonly ended: (error: MigrationError) => void;
}

/** Errors: LISTEN_FAILED when the host has no thread for it. */
export function startIncomingThread(task: IncomingTask, { message, ended }: IncomingThreadEvents): Worker {
  const worker = openThread(task);
  worker.on("message", message);
  worker.on("error", (error) => ended(MigrationError.from(error)));
  worker.on("exit", () =>
    ended(new MigrationError("INTERNAL", "The incoming thread has ended unexpectedly")),
  );
  return worker;
}

function openThread(task: IncomingTask): Worker {
  try {
    return new Worker(ENTRY, {
      workerData: task,
      name: "incoming",
      resourceLimits: { maxYoungGenerationSizeMb: 3 },
      // It closes descriptors that this thread was given.
      trackUnmanagedFds: false,
    });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code !== "ERR_WORKER_INIT_FAILED") throw MigrationError.from(cause);
    const text =
      `Failed to listen on '${task.uri}': no thread can be started for it (${message}); ` +
      "allow this user or container more processes and threads, or end some";
    throw new MigrationError("LISTEN_FAILED", text, { cause });
  }
}
