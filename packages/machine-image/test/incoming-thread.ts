/**
 * Stands for the thread that reads a stream: makes the memory, says so, and then writes to it, whenever it is
 * asked to, while there is room.
 */
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { BuildRam, RamAccess, RamBlock } from "@peregrine/shared-state";
import { parentPort, workerData } from "node:worker_threads";

/** What the thread is started with. */
export interface WriterTask {
  readonly memory: RamAccess;
  readonly blocks: readonly RamBlock[];
  /** Writes in one round. */
  readonly writes: number;
  /** Most pages of one write. */
  readonly pages: number;
  readonly rounds: Int32Array;
}

/** Indices in {@link WriterTask.rounds}: rounds asked for, rounds done, how often there was no room. */
export const ASKED = 0;
export const DONE = 1;
export const WAITS = 2;

if (parentPort !== null) {
  const task = workerData as WriterTask;
  const { buildRam } = (await import(task.memory.module)) as { readonly buildRam: BuildRam };
  const builder = buildRam(task.memory.data);
  for (const block of task.blocks) builder.addBlock(block);
  // Keeps the thread alive while it waits for room.
  parentPort.on("message", () => undefined);
  parentPort.postMessage(builder.access());
  const random = randomNumbers();
  const bytes = new Uint8Array(task.pages * PAGE_SIZE);
  for (let round = 0; ; round++) {
    Atomics.wait(task.rounds, ASKED, round);
    for (let n = 0; n < task.writes; n++) {
      const room = builder.room();
      if (room !== undefined) {
        Atomics.add(task.rounds, WAITS, 1);
        await room;
      }
      const block = random(task.blocks.length);
      const count = 1 + random(task.pages);
      const offset = PAGE_SIZE * random(task.blocks[block]!.length / PAGE_SIZE - count + 1);
      const value = (round + n) & 0xff;
      if (count === 1) builder.ram.fillPages(block, offset, 1, value);
      else builder.ram.writePages(block, offset, bytes.subarray(0, count * PAGE_SIZE).fill(value));
    }
    Atomics.store(task.rounds, DONE, round + 1);
  }
}

/** Numbers from 0 to below `below`, the same ones in every run. */
function randomNumbers(): (below: number) => number {
  let seed = 1;
  return (below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
}
