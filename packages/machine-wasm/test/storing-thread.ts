/** Stores over page boundaries and marks as a tracked guest does, and grows the memory, until it is told to end. */
import { workerData } from "node:worker_threads";
import { CONTROL } from "../src/rewrite/control-layout.ts";

const { memory, control, go, most } = workerData as {
  memory: WebAssembly.Memory;
  control: WebAssembly.Memory;
  /** 1 starts, 2 ends. */
  go: Int32Array;
  /** WebAssembly pages to grow to. */
  most: number;
};
const PAGE = 4096;
const marks = new Uint8Array(control.buffer, CONTROL.dirtyMap, CONTROL.dirtyMapBytes);
let bytes = new Uint8Array(memory.buffer);

while (Atomics.load(go, 0) === 0);
for (let round = 1; Atomics.load(go, 0) === 1 || bytes.length < most * 65536; round++) {
  if (round % 500 === 0 && bytes.length < most * 65536) {
    memory.grow(1);
    bytes = new Uint8Array(memory.buffer);
  }
  const pages = bytes.length / PAGE;
  const at = (1 + ((round * 7919) % (pages - 1))) * PAGE - (round % 8);
  for (let n = 0; n < 8; n++) bytes[at + n] = round + n;
  // A release store, as the guest's marks are where processors reorder stores.
  Atomics.store(marks, at >>> 12, 1);
}
