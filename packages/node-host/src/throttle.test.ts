import { WasmMachine } from "@peregrine/machine-wasm";
import { PAGE_SIZE } from "@peregrine/shared-state";
import { openMachineRam } from "@peregrine/shared-state/testing";
import { describe, expect, it } from "vitest";
import { quietHost } from "../test/guests.ts";

/**
 * Counts the rounds of its only loop in the first 64-bit word of its memory:
 * `(loop (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1))) (br 0))`
 */
const BUSY =
  "0061736d01000000010401600000030201000503010002071302066d656d6f72790200065f737461727400000a1601140003404100410029030042017c3703000c000b0b";

/**
 * The same, but before each `br` it does this four times, which together takes several times as long as a throttled
 * guest is to run at a time, and during which it cannot be left:
 * `(memory.fill (i32.const 65536) (i32.const 1) (i32.const 0x2000000))`
 */
const SELDOM_LEFT =
  "0061736d0100000001040160000003020100050401008104071302066d656d6f72790200065f737461727400000a4e014c0003404100410029030042017c3703004180800441014180808010fc0b004180800441014180808010fc0b004180800441014180808010fc0b004180800441014180808010fc0b000c000b0b";

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A speed, or a share of one: by the processor's time, and by the clock, which goes on while the processor has other things to do. */
interface Measured {
  readonly processor: number;
  readonly clock: number;
}

/** A guest that runs in the variant that a migration needs. */
class CountingGuest implements AsyncDisposable {
  readonly machine: WasmMachine;
  readonly #count: () => number;

  private constructor(machine: WasmMachine, count: () => number) {
    this.machine = machine;
    this.#count = count;
  }

  static async start(hex: string): Promise<CountingGuest> {
    const module = Buffer.from(hex, "hex");
    const wasi = { args: ["counting"], env: [], preopens: [] };
    const machine = await WasmMachine.create(quietHost(), { name: "counting", module, stackMib: 16, wasi });
    await machine.start();
    await machine.startDirtyLog();
    const ram = await openMachineRam(machine);
    const page = Buffer.alloc(PAGE_SIZE);
    return new CountingGuest(machine, () => {
      ram.readPages(0, 0, 1, page, 0);
      return Number(page.readBigUInt64LE());
    });
  }

  /** Rounds in a millisecond, unthrottled. */
  async fullSpeed(least: number): Promise<Measured> {
    this.machine.setThrottle(0);
    const [used, start, before] = [process.cpuUsage(), performance.now(), this.#count()];
    do {
      await delay(100);
    } while (this.#count() - before < least);
    const { user, system } = process.cpuUsage(used);
    const rounds = this.#count() - before;
    return { processor: (rounds * 1000) / (user + system), clock: rounds / (performance.now() - start) };
  }

  /** Rounds in a millisecond of the clock, from one sleep to a later one. */
  async throttledSpeed(percentage: number, least: number): Promise<number> {
    this.machine.setThrottle(percentage);
    await this.asleep();
    const [start, before] = [performance.now(), this.#count()];
    do {
      await delay(300);
    } while (this.#count() - before < least);
    await this.asleep();
    return (this.#count() - before) / (performance.now() - start);
  }

  /**
   * What is left of its speed when it is throttled. Beside others on the processor it is less than that of the processor's,
   * and may be more of the clock's: who has slept has the processor sooner than who has not.
   */
  async share(percentage: number, least: number): Promise<Measured> {
    let [processor, clock, throttled] = [0, 0, 0];
    for (let turn = 0; turn < 3; turn++) {
      const full = await this.fullSpeed(least);
      processor += full.processor;
      clock += full.clock;
      throttled += await this.throttledSpeed(percentage, least);
    }
    return { processor: throttled / processor, clock: throttled / clock };
  }

  /** Waits until it sleeps. */
  async asleep(): Promise<void> {
    for (let before = -1; before !== this.#count();) {
      before = this.#count();
      await delay(5);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine.dispose();
  }
}

function expectShare(share: Measured, left: number): void {
  expect(share.processor).toBeLessThan(left * 1.6);
  expect(share.clock).toBeGreaterThan(left * 0.15);
}

describe("a throttled guest", () => {
  it.each([50, 90])("is slower by %i percent", async (percentage) => {
    await using guest = await CountingGuest.start(BUSY);
    expectShare(await guest.share(percentage, 1), 1 - percentage / 100);
  });

  it("is slower by that share also if it can be left only seldom", async () => {
    await using guest = await CountingGuest.start(SELDOM_LEFT);
    expectShare(await guest.share(75, 5), 0.25);
  });

  it("stops out of its sleep, with 99 percent of its time taken, and goes on", async () => {
    await using guest = await CountingGuest.start(BUSY);
    let quick = 0;
    for (let n = 0; n < 8; n++) {
      guest.machine.setThrottle(99);
      await guest.asleep();
      const start = performance.now();
      await guest.machine.stop();
      if (performance.now() - start < 990 / 2) quick++;
      await guest.machine.start();
      expect((await guest.fullSpeed(1)).clock).toBeGreaterThan(0);
    }
    // Each sleep has just begun. A machine that stands still now and then makes a stop as slow as one that waits for its end.
    expect(quick).toBeGreaterThan(4);
  });
});
