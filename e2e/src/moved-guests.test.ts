import { describe, expect, it } from "vitest";
import { type Guest, guests } from "../../examples/guests/guests.ts";
import { runMoved } from "./moved-run.ts";
import { Random } from "./random.ts";
import { runUndisturbed } from "./undisturbed.ts";

/** Of each program; those that are run in several ways share them. CI, whose time is limited, says how many it takes. */
const MOMENTS = Number(process.env["PEREGRINE_MOMENTS"] ?? 20);
const MOVES_PER_RUN = 10;
/** A guest that ends early is moved less often in that run; more runs make up for it, up to this many. */
const MOST_RUNS = 12;

/** The progress file of `counter` tells the time, so its content differs from run to run. */
const FILES_DIFFER = new Set(["counter"]);

/** Tolerated downtime, ms, of guests that would never be done otherwise: they dirty 64 MiB as fast as they can. */
const DOWNTIME: Readonly<Record<string, number>> = { "torture-flat-out": 2000 };

const SLEPT = /slept (\d+) s/g;

/** What the sleeper sleeps, in seconds, in its order. What it says of an undisturbed run can be more on a busy machine. */
const SLEEPS = [1, 1, 2];
/** Seconds that an awakening may be late, on a busy machine and when the guest is moved meanwhile. */
const LATE = 3;

/** A sleep must never be shorter. That it does not begin again with a move, `scenarios.test.ts` looks at more closely. */
function expectSameOutput(actual: string, expected: string, diary: string): void {
  expect(actual.replaceAll(SLEPT, "slept"), diary).toBe(expected.replaceAll(SLEPT, "slept"));
  for (const [n, [, slept]] of [...actual.matchAll(SLEPT)].entries()) {
    expect(Number(slept)).toBeGreaterThanOrEqual(SLEEPS[n]!);
    expect(Number(slept)).toBeLessThanOrEqual(SLEEPS[n]! + LATE);
  }
}

function momentsOf({ file }: Guest): number {
  return Math.ceil(MOMENTS / guests.filter((guest) => guest.file === file).length);
}

describe.concurrent("every guest, moved at random moments, does what it does undisturbed", () => {
  for (const guest of guests) {
    const random = new Random();
    it(`${guest.name} (seed ${random.seed})`, { timeout: 300_000 }, async () => {
      const expected = await runUndisturbed(guest);
      expect(expected.status).toBe(guest.status ?? 0);
      const moments = momentsOf(guest);
      let moves = 0;
      for (let run = 0; run < MOST_RUNS && moves < moments; run++) {
        const actual = await runMoved(guest, {
          moves: Math.min(MOVES_PER_RUN, moments - moves),
          start: expected.duration / 6,
          interval: expected.duration / 40,
          random,
          downtime: DOWNTIME[guest.name],
        });
        moves += actual.moves;
        expectSameOutput(actual.stdout.toString("latin1"), expected.stdout.toString("latin1"), actual.diary);
        expect(actual.status, actual.diary).toBe(expected.status);
        if (!FILES_DIFFER.has(guest.name)) expect(actual.files).toEqual(expected.files);
      }
      expect(moves).toBeGreaterThanOrEqual(moments);
    });
  }
});
