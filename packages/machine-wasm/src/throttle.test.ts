import { once } from "node:events";
import { Worker } from "node:worker_threads";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { controlMemory } from "../test/fake-thread.ts";
import { ControlBlock, REQUEST } from "./control-block.ts";
import { Throttle, THROTTLE_SLICE_MS } from "./throttle.ts";

/** No sleep is shorter. Milliseconds. */
const TICK = 0.001;

/** A guest on a clock that goes on only when the guest runs or sleeps; each sleep takes longer than it should. */
class Guest extends ControlBlock {
  now = 0;
  slept = 0;
  ran = 0;
  overshoot = 0;
  readonly throttling = new Throttle(this, () => this.now);

  override wait(timeoutMs: number): void {
    this.now += Math.max(timeoutMs, TICK) + this.overshoot;
  }

  /** Runs, is left, and sleeps. */
  run(ms: number): void {
    this.throttling.resume();
    this.now += ms;
    this.ran += ms;
    this.leave();
  }

  leave(): void {
    const before = this.now;
    this.throttling.sleep();
    this.slept += this.now - before;
  }
}

const newGuest = (): Guest => new Guest(controlMemory());

describe("the throttle of a guest", () => {
  it("does not let a guest sleep that is not throttled, nor for what it ran before it was", () => {
    const guest = newGuest();
    guest.run(60_000);
    guest.setThrottle(99);
    guest.run(60_000);
    expect(guest.slept).toBe(0);
    guest.run(10);
    expect(guest.slept).toBeCloseTo(990);
    guest.setThrottle(0);
    guest.run(60_000);
    expect(guest.slept).toBeCloseTo(990);
  });

  it("holds the share, however long the guest runs at a time and however late it wakes up", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 99 }),
        fc.array(fc.double({ min: 0, max: 300, noNaN: true }), { minLength: 1, maxLength: 50 }),
        fc.double({ min: 0, max: 5, noNaN: true }),
        (share, runs, overshoot) => {
          const guest = newGuest();
          guest.overshoot = overshoot;
          guest.setThrottle(share);
          guest.run(0);
          for (const ms of runs) guest.run(ms);
          const due = (guest.ran * share) / (100 - share);
          expect(guest.slept).toBeGreaterThan(due - 1e-6);
          expect(guest.slept).toBeLessThan(due + overshoot + 2 * TICK);
        },
      ),
    );
  });

  it("gives back no more than a slice of a sleep that took far too long", () => {
    const guest = newGuest();
    guest.setThrottle(50);
    guest.run(0);
    guest.overshoot = 1000;
    guest.run(10);
    guest.overshoot = 0;
    guest.slept = 0;
    guest.run(100);
    expect(guest.slept).toBeCloseTo(100 - THROTTLE_SLICE_MS);
  });

  it("does not count the time in which the guest waits", () => {
    const guest = newGuest();
    guest.setThrottle(50);
    guest.run(0);
    guest.throttling.resume();
    guest.throttling.wait(5000);
    guest.now += 20;
    guest.leave();
    expect(guest.slept).toBeCloseTo(20);
  });

  it("ends a sleep for a request, and makes up for it afterwards", () => {
    const guest = newGuest();
    guest.setThrottle(50);
    guest.run(0);
    guest.request(REQUEST.useTracked);
    guest.run(30);
    expect(guest.slept).toBe(0);
    expect(guest.takeRequest()).toBe(REQUEST.useTracked);
    guest.run(5);
    expect(guest.slept).toBeCloseTo(35);
  });

  it("is woken by a request and by the end of throttling while it sleeps for ever", async () => {
    for (const end of ["request", "off"] as const) {
      const agent = new ControlBlock(controlMemory());
      const asleep = new Int32Array(new SharedArrayBuffer(4));
      const worker = new Worker(new URL("../test/throttled-thread.ts", import.meta.url), {
        workerData: { memory: agent.memory, asleep },
      });
      agent.setThrottle(99);
      const ended = once(worker, "exit");
      await Atomics.waitAsync(asleep, 0, 0).value;
      if (end === "request") agent.request(REQUEST.stop);
      else agent.setThrottle(0);
      expect(await ended).toEqual([0]);
    }
  });
});
