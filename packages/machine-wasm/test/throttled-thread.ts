/** Sleeps for a guest that has run so long that it would never wake up by itself. */
import { workerData } from "node:worker_threads";
import { ControlBlock } from "../src/control-block.ts";
import { Throttle } from "../src/throttle.ts";

const { memory, asleep } = workerData as { memory: WebAssembly.Memory; asleep: Int32Array };
let now = 0;
const throttle = new Throttle(new ControlBlock(memory), () => now);
throttle.resume();
throttle.sleep();
throttle.resume();
now = 1e9;
Atomics.store(asleep, 0, 1);
Atomics.notify(asleep, 0);
throttle.sleep();
