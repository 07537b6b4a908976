/** The entry of the thread that sleeps until one of the watched descriptors can be read, and says which. */
import { MigrationError } from "@peregrine/protocol";
import { parentPort, workerData } from "node:worker_threads";
import { loadSystemCalls } from "./system-calls.ts";

export interface ReadinessThreadData {
  /** The set of descriptors. */
  readonly set: number;
  /** Ends the thread. */
  readonly stopId: number;
}

const { set, stopId } = workerData as ReadinessThreadData;
const calls = await loadSystemCalls();
if (calls === undefined || parentPort === null) {
  throw new MigrationError("INTERNAL", "readiness-thread.ts was not started as a thread for system calls");
}
for (;;) {
  const ready = calls.waitForWatched(set);
  if (ready.includes(stopId)) break;
  parentPort.postMessage(ready);
}
