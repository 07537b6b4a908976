import type { AnnounceRequest, AnnounceSchedule } from "@peregrine/shared-state";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { announceDelay } from "./announce-delay.ts";
import { Announcer } from "./announcer.ts";
import { SYSTEM_CLOCK } from "./clock.ts";
import type { Clock } from "./clock.ts";

const DEFAULTS: AnnounceSchedule = { initial: 50, max: 550, rounds: 5, step: 100 };

/** A clock that a test sets. A timer that has become due is called `lag` after its time. */
class TestClock implements Clock {
  time = 1000;
  lag = 0;
  readonly #timers = new Set<{ readonly time: number; readonly callback: () => void }>();

  now(): number {
    return this.time;
  }

  at(time: number, callback: () => void): () => void {
    const timer = { time, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets so much time pass. */
  pass(milliseconds: number): void {
    const until = this.time + milliseconds;
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.time - b.time);
      if (next === undefined || next.time + this.lag > until) break;
      this.#timers.delete(next);
      this.time = Math.max(this.time, next.time + this.lag);
      next.callback();
    }
    this.time = until;
  }

  get timers(): number {
    return this.#timers.size;
  }
}

/** An announcer of the interfaces `ids`, and what it does: `time:round:id` and `time:round` of its rounds. */
class Scene {
  readonly clock = new TestClock();
  readonly log: string[] = [];
  readonly announcer: Announcer<{ readonly id: string; announce(): void }>;
  isHere = true;
  readonly #begin = this.clock.time;

  constructor(...ids: readonly string[]) {
    this.announcer = new Announcer({
      interfaces: ids.map((id) => ({ id, announce: () => this.#note(id) })),
      isHere: () => this.isHere,
      announced: ({ round, interfaces }) =>
        this.#note(`${round}/${interfaces.map(({ id }) => id).join("+")}`),
      clock: this.clock,
    });
  }

  announce(request: Partial<AnnounceRequest> = {}): void {
    this.announcer.announce({ ...DEFAULTS, ...request });
  }

  #note(text: string): void {
    this.log.push(`${this.clock.time - this.#begin}:${text}`);
  }
}

describe("an announcement", () => {
  test("is made at 0, 50, 200, 450 and 800 ms, for every interface", () => {
    const scene = new Scene("a", "b");
    scene.announce();
    expect(scene.log).toEqual(["0:a", "0:b", "0:1/a+b"]);
    scene.clock.pass(10_000);
    expect(scene.log.filter((line) => line.includes("/"))).toEqual([
      "0:1/a+b",
      "50:2/a+b",
      "200:3/a+b",
      "450:4/a+b",
      "800:5/a+b",
    ]);
    expect(scene.log).toHaveLength(15);
    expect(scene.clock.timers).toBe(0);
  });

  test("is made without any interface, too", () => {
    const scene = new Scene();
    scene.announce({ rounds: 2 });
    scene.clock.pass(50);
    expect(scene.log).toEqual(["0:1/", "50:2/"]);
  });

  test("that is late once is not late for the rest", () => {
    const scene = new Scene();
    scene.announce();
    scene.clock.pass(40);
    scene.clock.lag = 30;
    scene.clock.pass(100);
    scene.clock.lag = 0;
    scene.clock.pass(1000);
    expect(scene.log).toEqual(["0:1/", "80:2/", "200:3/", "450:4/", "800:5/"]);
  });

  test("that is late for two rounds makes up for both", () => {
    const scene = new Scene();
    scene.announce();
    scene.clock.lag = 300;
    scene.clock.pass(500);
    scene.clock.lag = 0;
    scene.clock.pass(1000);
    expect(scene.log).toEqual(["0:1/", "350:2/", "500:3/", "500:4/", "800:5/"]);
  });

  test.each([
    [{ rounds: 0 }, []],
    [{ rounds: -1 }, []],
    [{ rounds: 1 }, ["0:1/"]],
    [{ rounds: 3, initial: 300, max: 100 }, ["0:1/", "100:2/", "200:3/"]],
    [{ rounds: 3, initial: -50, max: -100, step: -1 }, ["0:1/", "0:2/", "0:3/"]],
  ])("follows the request %j as QEMU does", (request, log) => {
    const scene = new Scene();
    scene.announce(request);
    scene.clock.pass(10_000);
    expect(scene.log).toEqual(log);
  });

  test("is of the interfaces that were named and are there", () => {
    const scene = new Scene("a", "b");
    scene.announce({ rounds: 1, interfaces: ["c", "b"] });
    scene.announce({ rounds: 1, interfaces: [] });
    expect(scene.log).toEqual(["0:b", "0:1/b", "0:1/"]);
  });

  test("begins anew with a request of the same id, and goes on beside others", () => {
    const scene = new Scene();
    scene.announce({ rounds: 2, initial: 300, max: 300 });
    scene.clock.pass(100);
    scene.announce({ rounds: 2, initial: 300, max: 300 });
    scene.announce({ rounds: 2, initial: 300, max: 300, id: "other" });
    scene.clock.pass(1000);
    expect(scene.log).toEqual(["0:1/", "100:1/", "100:1/", "400:2/", "400:2/"]);
  });

  test("ends when the guest is not here any more", () => {
    const scene = new Scene("a");
    scene.announce();
    scene.clock.pass(60);
    scene.isHere = false;
    scene.clock.pass(1000);
    expect(scene.log.at(-1)).toBe("50:2/a");
    expect(scene.clock.timers).toBe(0);
  });

  test("ends when it is stopped", () => {
    const scene = new Scene();
    scene.announce();
    scene.announce({ id: "other" });
    scene.announcer.stop();
    expect(scene.clock.timers).toBe(0);
    scene.clock.pass(1000);
    expect(scene.log).toEqual(["0:1/", "0:1/"]);
  });
});

test("the time between two rounds grows by the step, from the first to the longest", () => {
  const milliseconds = fc.integer({ min: 0, max: 100_000 });
  fc.assert(
    fc.property(
      milliseconds,
      milliseconds,
      milliseconds,
      fc.integer({ min: 2, max: 1000 }),
      (initial, max, step, round) => {
        const schedule = { initial, max, step, rounds: round };
        const delay = announceDelay(schedule, round);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(max);
        expect(announceDelay(schedule, 2)).toBe(Math.min(initial, max));
        const next = announceDelay(schedule, round + 1);
        expect(next === delay + step || next === max).toBe(true);
      },
    ),
  );
});

describe("the clock of the process", () => {
  test("calls back at the time, and not when it was called off", async () => {
    const begin = SYSTEM_CLOCK.now();
    SYSTEM_CLOCK.at(begin + 5, () => expect.fail("it was called off"))();
    await new Promise<void>((resolve) => {
      SYSTEM_CLOCK.at(begin + 20, resolve);
    });
    expect(SYSTEM_CLOCK.now()).toBeGreaterThanOrEqual(begin + 20);
  });

  test("does not call back early when the thread was busy before", async () => {
    const begin = SYSTEM_CLOCK.now();
    while (SYSTEM_CLOCK.now() < begin + 30);
    const due = SYSTEM_CLOCK.now() + 10;
    await new Promise<void>((resolve) => {
      SYSTEM_CLOCK.at(due, resolve);
    });
    expect(SYSTEM_CLOCK.now()).toBeGreaterThanOrEqual(due);
  });

  test("does not wait for a time that has passed", async () => {
    await new Promise<void>((resolve) => {
      SYSTEM_CLOCK.at(SYSTEM_CLOCK.now() - 1_000_000, resolve);
    });
  });
});
