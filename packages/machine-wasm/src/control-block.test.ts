import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { controlMemory } from "../test/fake-thread.ts";
import { ControlBlock, REQUEST } from "./control-block.ts";

/** Longer than the test may take: a wait that lasts is a wake-up that was lost. */
const FOR_EVER_MS = 1_000_000;

describe("the words by which agent and guest thread talk", () => {
  it("ends a wait for what came before it, once", () => {
    const agent = new ControlBlock(controlMemory());
    const guest = new ControlBlock(agent.memory);
    agent.wake();
    guest.wait(FOR_EVER_MS);
    agent.request(REQUEST.stop);
    guest.wait(FOR_EVER_MS);
    expect(guest.interrupted()).toBe(true);
    expect(guest.takeRequest()).toBe(REQUEST.stop);
    expect([guest.interrupted(), guest.takeRequest()]).toEqual([false, REQUEST.none]);
    guest.wait(0);
  });

  it("loses no wake-up and no request between two threads", async () => {
    const ROUNDS = 5000;
    const { memory } = new ControlBlock(controlMemory());
    const agent = new ControlBlock(memory);
    const answers = new Int32Array(new SharedArrayBuffer(8));
    const worker = new Worker(new URL("../test/waiting-thread.ts", import.meta.url), {
      workerData: { memory, answers, rounds: ROUNDS },
    });
    const ended = once(worker, "exit");
    await once(worker, "online");
    for (let round = 1; round <= ROUNDS; round++) {
      agent.request(round % 2 === 0 ? REQUEST.useTracked : REQUEST.usePlain);
      while (Atomics.load(answers, 0) < round) Atomics.wait(answers, 0, round - 1);
    }
    expect(await ended).toEqual([0]);
    expect(Atomics.load(answers, 1)).toBe(ROUNDS / 2);
  }, 20_000);
});
