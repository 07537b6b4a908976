import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Besides the guest's memory: what agents, thread stacks and sockets take. */
const MORE_MIB = 512;

/** In a process of its own, which gives it all back when it ends. */
const TOUCH = `
  for (let mib = Number(process.argv[1]); mib > 0; mib -= 64) (globalThis.kept ??= []).push(Buffer.alloc(64 << 20, 1));
`;

/**
 * Has the machine touch as much memory as a guest of `mib` MiB needs to arrive. A virtual machine's host takes free memory
 * back after a few seconds and gives it again slowly: without this, what is measured is who came first.
 */
export async function warmMemory(mib: number): Promise<void> {
  await promisify(execFile)(process.execPath, ["--eval", TOUCH, String(mib + MORE_MIB)]);
}
