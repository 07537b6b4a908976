import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RateLimiter } from "./rate-limiter.ts";

const MiB = 1 << 20;

/** One write: when it was over, and its size. */
interface Put {
  readonly at: number;
  readonly bytes: number;
}

interface Sender {
  readonly limit: number;
  /** Sizes of the writes, used in turn. */
  readonly sizes: readonly number[];
  /** Bytes per second that the link could carry. */
  readonly link: number;
  /** Milliseconds that the writes take on top of that, used in turn. */
  readonly stalls: readonly number[];
  /** Milliseconds by which the sleeps are too long, used in turn. */
  readonly lateness: readonly number[];
}

/** The loop of the migration thread with a clock of its own: sends until it is told to stop, sleeps, begins a new period. */
function simulate(sender: Sender, duration: number): Put[] {
  let now = 1000;
  const limiter = new RateLimiter(() => now);
  limiter.setLimit(sender.limit);
  const puts: Put[] = [];
  const end = now + duration;
  let sleeps = 0;
  while (now < end) {
    if (!limiter.exceeded) {
      const bytes = sender.sizes[puts.length % sender.sizes.length]!;
      now += (bytes * 1000) / sender.link + sender.stalls[puts.length % sender.stalls.length]!;
      limiter.put(bytes);
      puts.push({ at: now, bytes });
    }
    if (limiter.exceeded) now += limiter.waitTime + sender.lateness[sleeps++ % sender.lateness.length]!;
    limiter.resetPeriod();
  }
  return puts;
}

/** The most bytes that any second holds; the limiter knows the time to the millisecond. */
function busiestSecond(puts: readonly Put[]): number {
  let busiest = 0;
  let sum = 0;
  let first = 0;
  for (const put of puts) {
    sum += put.bytes;
    for (; puts[first]!.at <= put.at - 999; first++) sum -= puts[first]!.bytes;
    busiest = Math.max(busiest, sum);
  }
  return busiest;
}

function total(puts: readonly Put[]): number {
  return puts.reduce((sum, put) => sum + put.bytes, 0);
}

const limit = fc.integer({ min: 10 * MiB, max: 1024 * MiB });
const sizes = fc.array(fc.integer({ min: 16_384, max: 256 * 1024 }), { minLength: 1, maxLength: 20 });
/** How many times faster than the limit the link is. */
const speed = fc.constantFrom(2, 10, 1e6);

function milliseconds(max: number): fc.Arbitrary<number[]> {
  return fc.array(fc.integer({ min: 0, max }), { minLength: 1, maxLength: 20 });
}

describe("a sender that obeys", () => {
  test("stays within 5 % of the limit over any second, however irregular it is", () => {
    const stalls = fc.oneof(milliseconds(1), milliseconds(250));
    fc.assert(
      fc.property(
        limit,
        sizes,
        speed,
        stalls,
        milliseconds(150),
        (bytes, writes, times, pauses, lateness) => {
          const sender = { limit: bytes, sizes: writes, link: bytes * times, stalls: pauses, lateness };
          expect(busiestSecond(simulate(sender, 4000))).toBeLessThanOrEqual(bytes * 1.05);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("reaches the limit when it has enough to send, although its sleeps are too long", () => {
    const duration = 5000;
    fc.assert(
      fc.property(limit, sizes, speed, milliseconds(20), (bytes, writes, times, lateness) => {
        const sender = { limit: bytes, sizes: writes, link: bytes * times, stalls: [0], lateness };
        const rate = (total(simulate(sender, duration)) * 1000) / duration;
        expect(rate).toBeGreaterThanOrEqual(bytes * 0.95);
        expect(rate).toBeLessThanOrEqual(bytes * 1.05);
      }),
      { numRuns: 100 },
    );
  });

  test("a late burst and the early one that follows it do not add up", () => {
    // The first write is over at the end of its period, the others take no time at all.
    const stalls = [99, ...Array.from({ length: 1000 }, () => 0)];
    const sender = { limit: 10 * MiB, sizes: [MiB / 16], link: 1e15, stalls, lateness: [0] };
    const puts = simulate(sender, 1500);
    expect(total(puts.filter((put) => put.at < 1101))).toBe(2 * MiB + MiB / 16);
    expect(busiestSecond(puts)).toBeLessThanOrEqual(10 * MiB * 1.05);
  });
});

/** A limiter whose clock the test sets. */
function limiterAt(start: number): { limiter: RateLimiter; clock: { now: number } } {
  const clock = { now: start };
  return { limiter: new RateLimiter(() => clock.now), clock };
}

describe("a period", () => {
  test("is exceeded by one byte more than a tenth of the limit", () => {
    const { limiter } = limiterAt(0);
    limiter.setLimit(1000);
    limiter.put(100);
    expect(limiter.exceeded).toBe(false);
    limiter.put(1);
    expect(limiter.exceeded).toBe(true);
  });

  test("passes on what it sent too much, and no more than one quota that it left over", () => {
    const { limiter, clock } = limiterAt(0);
    limiter.setLimit(1000);
    limiter.put(250);
    clock.now = 100;
    limiter.resetPeriod();
    expect(limiter.exceeded).toBe(true);
    clock.now = 200;
    limiter.resetPeriod();
    expect(limiter.exceeded).toBe(false);
    limiter.put(51);
    expect(limiter.exceeded).toBe(true);
    clock.now = 5000;
    limiter.resetPeriod();
    limiter.put(200);
    expect(limiter.exceeded).toBe(false);
    limiter.put(1);
    expect(limiter.exceeded).toBe(true);
  });

  test("tells how long the sender has to wait", () => {
    const { limiter, clock } = limiterAt(50);
    limiter.setLimit(1000);
    expect(limiter.waitTime).toBe(0);
    limiter.put(101);
    expect(limiter.waitTime).toBe(100);
    clock.now = 120;
    expect(limiter.waitTime).toBe(30);
    limiter.resetPeriod();
    expect(limiter.exceeded).toBe(true);
    clock.now = 500;
    expect(limiter.waitTime).toBe(0);
    limiter.resetPeriod();
    expect(limiter.exceeded).toBe(false);
  });

  test("does not help when the last second was full, until that has passed", () => {
    const { limiter, clock } = limiterAt(0);
    limiter.setLimit(1000);
    clock.now = 99;
    for (const end of [100, 200, 300, 400, 500, 600, 700, 800, 900]) {
      limiter.put(100);
      clock.now = end;
      limiter.resetPeriod();
    }
    limiter.put(100);
    expect(limiter.exceeded).toBe(false);
    clock.now = 1000;
    limiter.resetPeriod();
    limiter.put(21);
    expect(limiter.exceeded).toBe(true);
    expect(limiter.waitTime).toBe(10);
    clock.now = 1099;
    expect(limiter.exceeded).toBe(false);
  });

  test("without a limit is never exceeded", () => {
    const { limiter } = limiterAt(0);
    limiter.put(Number.MAX_SAFE_INTEGER);
    expect(limiter.exceeded).toBe(false);
    limiter.setLimit(1000);
    expect(limiter.exceeded).toBe(false);
  });

  test("a new limit takes effect at once, in both directions", () => {
    const { limiter } = limiterAt(0);
    limiter.setLimit(1000);
    limiter.put(500);
    expect(limiter.exceeded).toBe(true);
    limiter.setLimit(10_000);
    expect(limiter.exceeded).toBe(false);
    limiter.put(900);
    limiter.setLimit(1000);
    expect(limiter.exceeded).toBe(false);
    limiter.put(101);
    expect(limiter.exceeded).toBe(true);
    limiter.setLimit(0);
    expect(limiter.exceeded).toBe(false);
  });

  test("setting the limit that is in force changes nothing", () => {
    const { limiter } = limiterAt(0);
    limiter.setLimit(1000);
    limiter.put(101);
    limiter.setLimit(1000);
    expect(limiter.exceeded).toBe(true);
  });

  test.each([-1, Number.NaN])("a limit of %s is refused", (value) => {
    const { limiter } = limiterAt(0);
    expect(() => limiter.setLimit(value)).toThrow(expect.objectContaining({ code: "BAD_PARAMETER" }));
  });
});
