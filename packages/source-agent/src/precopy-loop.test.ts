import { MigrationParameters, MigrationStatistics } from "@peregrine/shared-state";
import { RateLimiter } from "@peregrine/transport";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LiveSection } from "./live-section.ts";
import { PrecopyLoop } from "./precopy-loop.ts";
import type { PrecopyLoopOptions } from "./precopy-loop.ts";

const MiB = 1 << 20;

interface World {
  /** Bytes of guest memory. */
  readonly memory: number;
  /** Bytes that the guest dirties in a millisecond. */
  readonly dirtyRate: number;
  /** Bytes of guest memory that can be sent in a millisecond. */
  readonly sendRate: number;
  /** Bytes on the wire for one byte of guest memory. */
  readonly cost: number;
  readonly downtimeLimit: number;
  readonly limit: number;
  readonly preparedAt: number;
  readonly patience: number;
}

const WORLD: World = {
  memory: 256 * MiB,
  dirtyRate: 20_000,
  sendRate: 1_000_000,
  cost: 1,
  downtimeLimit: 30,
  limit: 0,
  preparedAt: 0,
  patience: 60_000,
};

class OutOfPatience extends Error {}

/** The loop with a guest, a link and a clock that are numbers. */
class Simulation implements LiveSection {
  now = 0;
  sleeps = 0;
  iterations = 0;
  parameters = new MigrationParameters();
  statistics = new MigrationStatistics();
  readonly #world: World;
  readonly limiter: RateLimiter;
  #remaining: number;
  #harvestedAt = 0;
  /** Called after each step of the clock. */
  onTime: (now: number) => void = () => {};

  constructor(world: Partial<World>) {
    this.#world = { ...WORLD, ...world };
    this.#remaining = this.#world.memory;
    this.limiter = new RateLimiter(() => this.now);
    this.limiter.setLimit(this.#world.limit);
    this.parameters.set({ "downtime-limit": this.#world.downtimeLimit });
  }

  async run(options: Partial<PrecopyLoopOptions> = {}): Promise<void> {
    const limiter = this.limiter;
    await new PrecopyLoop({
      sections: [this],
      stream: {
        get limitReached() {
          return limiter.exceeded;
        },
        get waitTime() {
          return limiter.waitTime;
        },
        resetPeriod: () => limiter.resetPeriod(),
        flush: async () => {},
      },
      parameters: this.parameters,
      statistics: this.statistics,
      destinationPrepared: () => this.now >= this.#world.preparedAt,
      caughtUp: undefined,
      switchOverWanted: () => false,
      arrived: () => true,
      check: () => {
        if (this.now > this.#world.patience) throw new OutOfPatience();
      },
      sleep: async (ms) => {
        this.sleeps++;
        this.#pass(ms);
      },
      now: () => this.now,
      ...options,
    }).run();
  }

  /** What the guest has dirtied since the last harvest counts too. */
  get left(): number {
    const dirtied = (this.now - this.#harvestedAt) * this.#world.dirtyRate;
    return Math.min(this.#remaining + dirtied, this.#world.memory);
  }

  async start(): Promise<void> {}
  async complete(): Promise<void> {}

  pending(maxSize: number): number {
    if (this.#remaining <= maxSize) {
      this.#remaining = this.left;
      this.#harvestedAt = this.now;
    }
    return this.#remaining;
  }

  async iterate(): Promise<boolean> {
    this.iterations++;
    const { sendRate, cost } = this.#world;
    const until = this.now + 50;
    while (this.#remaining > 0 && this.now < until && !this.limiter.exceeded) {
      const bytes = Math.min(this.#remaining, 64 * 4096);
      this.#remaining -= bytes;
      this.limiter.put(bytes * cost);
      this.statistics.transferred += bytes * cost;
      this.#pass(bytes / sendRate);
    }
    return this.#remaining === 0;
  }

  #pass(ms: number): void {
    this.now += Math.max(ms, 0.001);
    this.onTime(this.now);
  }
}

describe("the loop", () => {
  test("ends when what is left can be sent in the tolerated downtime", async () => {
    const simulation = new Simulation({});
    await simulation.run();
    expect(simulation.left / WORLD.sendRate).toBeLessThanOrEqual(WORLD.downtimeLimit);
    expect(simulation.now).toBeGreaterThan(WORLD.memory / WORLD.sendRate - WORLD.downtimeLimit);
  });

  test("does not chase pages with an estimate from before the limit was lifted", async () => {
    const limit = 4 * MiB;
    const simulation = new Simulation({ limit, dirtyRate: 1_200_000, memory: MiB });
    simulation.parameters.set({ "max-bandwidth": limit });
    let before = 0;
    simulation.onTime = (now) => {
      if (before > 0 || now < 1000) return;
      before = simulation.iterations;
      simulation.limiter.setLimit(0);
      simulation.parameters.set({ "max-bandwidth": 0 });
    };
    await simulation.run();
    expect(before).toBeGreaterThan(0);
    expect(simulation.iterations - before).toBeLessThan(8);
  });

  test("leaves others of the thread their turns when nothing is ever waited for", async () => {
    let turns = 0;
    const counting = setInterval(() => turns++, 1);
    // Without turns it would go on for ever, and no timeout of the test's would have its turn either.
    const until = performance.now() + 10_000;
    const section: LiveSection = {
      start: async () => {},
      complete: async () => {},
      pending: () => (turns < 3 && performance.now() < until ? MiB : 0),
      iterate: async () => false,
    };
    await new Simulation({}).run({ sections: [section] });
    clearInterval(counting);
    expect(turns).toBeGreaterThanOrEqual(3);
    expect(performance.now()).toBeLessThan(until);
  });

  test("keeps the downtime for every guest that is slower than the link", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 512 }),
        fc.integer({ min: 10_000, max: 4_000_000 }),
        fc.integer({ min: 0, max: 80 }),
        fc.integer({ min: 1, max: 1000 }),
        fc.constantFrom(1, 0.01, 9 / 4096),
        async (mebibytes, sendRate, percent, downtimeLimit, cost) => {
          const world = { sendRate, dirtyRate: (sendRate * percent) / 100, downtimeLimit, cost };
          const simulation = new Simulation({ ...world, memory: mebibytes * MiB, patience: 3_600_000 });
          await simulation.run();
          expect(simulation.left / sendRate).toBeLessThanOrEqual(downtimeLimit * 1.05 + 1);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("leaves next to nothing when passes still halve what is left, although more could be sent in time", async () => {
    const simulation = new Simulation({});
    await simulation.run();
    expect(simulation.left / WORLD.sendRate).toBeLessThan(WORLD.downtimeLimit / 30);
  });

  test("stops the guest when the destination has everything that was sent", async () => {
    let simulation = new Simulation({});
    await simulation.run();
    const passes = simulation.iterations;
    simulation = new Simulation({});
    let asked = 0;
    let told = 0;
    const caughtUp = async (): Promise<void> => {
      asked = simulation.iterations;
      simulation.now += 5;
      told = simulation.now;
    };
    await simulation.run({ caughtUp });
    expect(asked).toBe(simulation.iterations);
    expect(told).toBeCloseTo(simulation.now, 0);
    expect(simulation.iterations).toBeLessThan(passes * 2);
  });

  test("waits for the destination behind the first rest that could be left, not before it", async () => {
    const simulation = new Simulation({});
    const left: number[] = [];
    const caughtUp = async (): Promise<void> => {
      left.push(simulation.left);
      simulation.now += 5;
    };
    await simulation.run({ caughtUp });
    expect(left.length).toBeGreaterThan(0);
    expect(left[0]).toBeLessThan(simulation.statistics.threshold / 10);
  });

  test("does not wait for a destination for ever in which the guest dirties more than the threshold", async () => {
    const simulation = new Simulation({ dirtyRate: 700_000 });
    let asked = 0;
    const caughtUp = async (): Promise<void> => {
      asked++;
      simulation.now += WORLD.downtimeLimit * 2;
    };
    await simulation.run({ caughtUp });
    expect(asked).toBe(8);
    expect(simulation.left / WORLD.sendRate).toBeLessThanOrEqual(WORLD.downtimeLimit * 1.05 + 1);
  });

  test("stops a guest that dirties as much as is sent as soon as it may", async () => {
    const simulation = new Simulation({ dirtyRate: 900_000, memory: 16 * MiB });
    await simulation.run();
    expect(simulation.statistics.threshold).toBeGreaterThan(simulation.left);
    expect(simulation.iterations).toBeLessThan(14);
  });

  test("ends although pages cost next to nothing on the wire", async () => {
    // A threshold of wire bytes would be 30 ms x 1000 bytes/ms: less than a millisecond of dirtying.
    const simulation = new Simulation({ cost: 0.001, dirtyRate: 500_000 });
    await simulation.run();
    expect(simulation.left / WORLD.sendRate).toBeLessThanOrEqual(WORLD.downtimeLimit);
  });

  test("goes on for ever with a guest that is faster than the link", async () => {
    const simulation = new Simulation({ dirtyRate: 1_100_000 });
    await expect(simulation.run()).rejects.toBeInstanceOf(OutOfPatience);
  });

  test("a larger tolerated downtime takes effect at once", async () => {
    const simulation = new Simulation({ dirtyRate: 1_100_000 });
    simulation.onTime = (now) => {
      if (now > 5000) simulation.parameters.set({ "downtime-limit": 1000 });
    };
    await simulation.run();
    expect(simulation.now).toBeLessThan(5000 + 1000);
  });

  test("takes a bandwidth that is set for the switchover instead of its estimate, and only there", async () => {
    const available = 10 * WORLD.sendRate * 1000;
    const hopeless = new Simulation({ dirtyRate: 1_100_000 });
    hopeless.onTime = (now) => {
      if (now > 2000) hopeless.parameters.set({ "avail-switchover-bandwidth": available });
    };
    await hopeless.run();
    expect(hopeless.now).toBeLessThan(2100);
    expect(hopeless.left).toBeGreaterThan(WORLD.sendRate * WORLD.downtimeLimit);
    // The link is not taken to be faster anywhere else.
    expect(hopeless.statistics.retireRate).toBeLessThan(1.1 * WORLD.sendRate);

    const easy = new Simulation({ dirtyRate: 100_000, patience: 1000 });
    easy.parameters.set({ "avail-switchover-bandwidth": 1000 });
    await expect(easy.run()).rejects.toBeInstanceOf(OutOfPatience);
    easy.parameters.set({ "avail-switchover-bandwidth": 0 });
    await easy.run({ check: () => {} });
  });

  test("ends when what all sections have left together can be sent in time, and not before", async () => {
    // Each of them alone is below the 10 MB that 10 ms allow; together they are not.
    const limits: number[] = [];
    const section = (left: number[]): LiveSection => ({
      start: async () => {},
      complete: async () => {},
      pending: (maxSize) => {
        limits.push(maxSize);
        return left[0]!;
      },
      iterate: async () => {
        if (left.length > 1) left.shift();
        return false;
      },
    });
    const disks = [8e6, 7e6, 6e6, 3e6];
    const simulation = new Simulation({ downtimeLimit: 10 });
    simulation.parameters.set({ "avail-switchover-bandwidth": 1e9 });
    await simulation.run({ sections: [section(disks), section([6e6])] });
    expect(disks).toEqual([3e6]);
    expect(new Set(limits)).toEqual(new Set([10e6, -1]));
  });

  test("does not end before the destination is prepared, and does not spin until then", async () => {
    const simulation = new Simulation({ memory: MiB, dirtyRate: 100, preparedAt: 10_000 });
    await simulation.run();
    expect(simulation.now).toBeGreaterThanOrEqual(10_000);
    expect(simulation.sleeps).toBeLessThan(110);
    expect(simulation.iterations).toBeLessThan(110);
  });

  test("sends what is left of memory while the destination is not prepared, once", async () => {
    const preparedAt = 5000;
    // All of it could be sent in the tolerated downtime.
    const world = { memory: 256 * MiB, dirtyRate: 0, downtimeLimit: 1000, preparedAt };
    const idle = new Simulation(world);
    let leftBefore = Infinity;
    idle.onTime = (now) => {
      if (now < preparedAt) leftBefore = idle.left;
    };
    await idle.run();
    expect(leftBefore).toBe(0);
    const hot = new Simulation({ ...world, dirtyRate: 20_000 });
    await hot.run();
    // What it has dirtied again by then is not sent over and over.
    expect(hot.statistics.transferred).toBeLessThan(1.5 * world.memory);
  });

  test("sends on a guest that is still arriving, however little there is, and does not spin", async () => {
    const simulation = new Simulation({ memory: MiB, dirtyRate: 100 });
    await simulation.run({ arrived: () => simulation.now >= 10_000 });
    expect(simulation.now).toBeGreaterThanOrEqual(10_000);
    expect(simulation.now).toBeLessThan(10_100);
    // Far below the threshold, and yet all of it was sent within two periods.
    expect(simulation.statistics.threshold).toBeGreaterThan(MiB);
    expect(simulation.iterations).toBeGreaterThan(450);
    expect(simulation.sleeps).toBeLessThan(1100);
  });

  test("waits for a guest to arrive and for the destination, whichever comes last", async () => {
    for (const [arrivedAt, preparedAt] of [
      [3000, 5000],
      [5000, 3000],
    ] as const) {
      const simulation = new Simulation({ memory: MiB, dirtyRate: 0, preparedAt });
      await simulation.run({ arrived: () => simulation.now >= arrivedAt });
      expect(simulation.now).toBeGreaterThanOrEqual(5000);
      expect(simulation.now).toBeLessThan(5200);
    }
  });

  test("an arriving guest that is held back now and then does not make the link slow", async () => {
    const simulation = new Simulation({ memory: 64 * MiB, dirtyRate: 5000 });
    await simulation.run({ arrived: () => simulation.now >= 3000 });
    expect(simulation.statistics.retireRate).toBeGreaterThan(WORLD.sendRate / 2);
  });

  test("ends at once when the guest is to be stopped, but not before the destination is prepared", async () => {
    // It dirties as fast as it is sent: there would be no end.
    const hopeless = { memory: 64 * MiB, dirtyRate: WORLD.sendRate, patience: 60_000 };
    await expect(new Simulation(hopeless).run()).rejects.toBeInstanceOf(OutOfPatience);
    const simulation = new Simulation({ ...hopeless, preparedAt: 5000 });
    await simulation.run({ switchOverWanted: () => simulation.now >= 2000 });
    expect(simulation.now).toBeGreaterThanOrEqual(5000);
    expect(simulation.now).toBeLessThan(5200);
    expect(simulation.left).toBeGreaterThan(simulation.statistics.threshold);
  });

  test("does not chase single pages before it has an estimate", async () => {
    const simulation = new Simulation({ memory: MiB, dirtyRate: 5000 });
    await simulation.run();
    expect(simulation.iterations).toBeLessThan(10);
  });

  test("does not wait for an estimate when nothing is left", async () => {
    const simulation = new Simulation({ memory: MiB, dirtyRate: 0 });
    await simulation.run();
    expect(simulation.now).toBeLessThan(10);
  });

  test("an idle guest is not sent with a wrong estimate after a long wait", async () => {
    const simulation = new Simulation({ memory: 8 * MiB, dirtyRate: 0, preparedAt: 5000 });
    await simulation.run();
    // Kept from the transfer at the beginning, within what a period is longer than the transfer.
    expect(simulation.statistics.retireRate).toBeGreaterThan(WORLD.sendRate / 2);
  });

  test("obeys the limit by sleeping", async () => {
    const simulation = new Simulation({ memory: 16 * MiB, dirtyRate: 0, limit: 8 * MiB });
    await simulation.run();
    // A period may be used up at its beginning.
    const seconds = (simulation.now + 100) / 1000;
    expect(simulation.statistics.transferred / seconds).toBeLessThan(8 * MiB * 1.05);
    expect(simulation.sleeps).toBeGreaterThan(15);
  });

  test("gives a section its turn only when those before it have nothing left", async () => {
    const log: string[] = [];
    const section = (name: string, rounds: number): LiveSection => ({
      start: async () => {},
      complete: async () => {},
      pending: () => rounds * 4096,
      iterate: async () => {
        log.push(name);
        if (rounds > 0) rounds--;
        return rounds === 0;
      },
    });
    const simulation = new Simulation({});
    await simulation.run({ sections: [section("disks", 3), section("memory", 2)] });
    expect(log).toEqual(["disks", "disks", "disks", "memory", "disks", "memory"]);
  });

  test("writes the figures of each period", async () => {
    const simulation = new Simulation({ cost: 0.5 });
    await simulation.run();
    const { statistics } = simulation;
    expect(statistics.retireRate).toBeCloseTo(WORLD.sendRate, -5);
    expect(statistics.bandwidth).toBeCloseTo(WORLD.sendRate / 2, -5);
    expect(statistics.mbps).toBeCloseTo((WORLD.sendRate / 2) * 8 * 1e-3, -3);
    expect(statistics.threshold).toBeCloseTo(statistics.retireRate * WORLD.downtimeLimit);
  });

  test("tells the expected downtime by its own estimate, once the dirty rate is known", async () => {
    const simulation = new Simulation({ dirtyRate: 1_100_000 });
    const { statistics, parameters } = simulation;
    statistics.expectedDowntime = 30;
    parameters.set({ "avail-switchover-bandwidth": 1 << 20 });
    simulation.onTime = (now) => {
      if (now > 1000) statistics.dirtyPagesRate = 1_100_000_000 / 4096;
      else expect(statistics.expectedDowntime).toBe(30);
    };
    await simulation.run({ switchOverWanted: () => simulation.now > 2000 });
    // What is dirtied in a second takes that long to send.
    expect(statistics.expectedDowntime).toBeGreaterThan(1000);
    expect(statistics.expectedDowntime).toBeLessThan(1200);
  });
});
