import { parentPort, workerData } from "node:worker_threads";
import { openRam, TestGuest } from "../src/testing/index.ts";

/** Runs a test guest in a thread of its own until `stop` is not 0, then says where it stopped. */
const { ram, hotPages, stop } = workerData as { ram: unknown; hotPages: number; stop: Int32Array };
const guest = new TestGuest(openRam(ram), hotPages);

parentPort!.postMessage("running");
while (Atomics.load(stop, 0) === 0) guest.step(hotPages + 1);
parentPort!.postMessage({ sweeps: guest.sweeps, position: guest.position });
