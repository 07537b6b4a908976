import { parentPort, workerData } from "node:worker_threads";
import { MigrationState } from "../src/index.ts";

/** Changes the state to and fro while the main thread does the same; says how often each way succeeded. */
const { buffer, done, tries } = workerData as { buffer: SharedArrayBuffer; done: Int32Array; tries: number };
const state = new MigrationState(buffer);
let failed = 0;
let again = 0;

parentPort!.postMessage("ready");
for (let n = 0; n < tries; n++) {
  if (state.set("setup", "failed")) failed++;
  if (state.set("failed", "setup")) again++;
}
Atomics.store(done, 0, 1);
parentPort!.postMessage({ failed, again });
