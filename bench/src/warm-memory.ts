import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Besides the guest's memory: what agents, thread stacks and sockets take. */
const MORE_MIB = 512;

const TOUCH = fileURLToPath(new URL("touch-memory.ts", import.meta.url));

let isLeftCold = false;

/** From now on memory is left as the machine has it. */
export function leaveMemoryCold(): void {
  isLeftCold = true;
}

/**
 * Has the machine touch as much memory as a guest of `mib` MiB needs to arrive. A virtual machine's host takes free memory
 * back after a few seconds and gives it again slowly: without this, what is measured is who came first. In a process of its
 * own, which gives it all back when it ends.
 */
export async function warmMemory(mib: number): Promise<void> {
  if (isLeftCold) return;
  await promisify(execFile)(process.execPath, [TOUCH, String(mib + MORE_MIB)]);
}
