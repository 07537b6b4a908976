/** The guest thread of this host: runs one WebAssembly program. */
import { flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import {
  type GuestCommand,
  GuestProgram,
  type GuestReport,
  type GuestThreadData,
} from "@peregrine/machine-wasm/guest";
import { guestFiles } from "./drives/guest-files.ts";
import type { GuestWorkerData } from "./guest-worker-thread.ts";
import { NodeClock } from "./host-clock.ts";
import { GuestConsole } from "./host-console.ts";
import { NodeRandom } from "./host-random.ts";

const { thread, input, outputs, drives } = workerData as GuestWorkerData;
const port = parentPort!;

if (thread === undefined) port.once("message", begin);
else begin(thread);
// What was compiled is kept for the next start; this thread never ends in order.
flushCompileCache();

function begin(guest: GuestThreadData): void {
  const program = new GuestProgram(guest, {
    files: guestFiles(drives),
    clock: new NodeClock(),
    random: new NodeRandom(),
    console: new GuestConsole(input, outputs),
    report: (report: GuestReport) => port.postMessage(report),
  });
  port.on("message", (command: GuestCommand) => program.handle(command));
}
