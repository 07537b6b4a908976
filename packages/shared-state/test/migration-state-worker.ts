import { parentPort, workerData } from "node:worker_threads";
import { MigrationState } from "../src/index.ts";

/** Tries to complete each of `rounds` migrations that the main thread tries to cancel at the same moment. */
const { buffer, gate, rounds } = workerData as {
  buffer: SharedArrayBuffer;
  gate: Int32Array;
  rounds: number;
};
const state = new MigrationState(buffer);
let won = 0;

parentPort!.postMessage("ready");
for (let round = 1; round <= rounds; round++) {
  while (Atomics.load(gate, 0) < round) {
    // Spins, so that both threads try at the same moment.
  }
  if (state.set("active", "completed")) won++;
  Atomics.store(gate, 1, round);
  Atomics.notify(gate, 1);
}
parentPort!.postMessage(won);
