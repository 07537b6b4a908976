/** Waits for requests and takes them, as a guest in a host call that waits. */
import { workerData } from "node:worker_threads";
import { ControlBlock, REQUEST } from "../src/control-block.ts";

const { memory, answers, rounds } = workerData as {
  memory: WebAssembly.Memory;
  /** Requests taken, and those of them for the tracked variant. */
  answers: Int32Array;
  rounds: number;
};
const block = new ControlBlock(memory);

for (let taken = 0; taken < rounds;) {
  if (!block.interrupted()) {
    block.wait(1_000_000);
    continue;
  }
  const request = block.takeRequest();
  if (request === REQUEST.none) continue;
  if (request === REQUEST.useTracked) Atomics.add(answers, 1, 1);
  Atomics.store(answers, 0, ++taken);
  Atomics.notify(answers, 0);
}
