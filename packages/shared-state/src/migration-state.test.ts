import { on } from "node:events";
import { Worker } from "node:worker_threads";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MIGRATION_TRANSITIONS, MigrationState } from "./migration-state.ts";
import type { MigrationStatus } from "./migration-state.ts";

const STATUSES = Object.keys(MIGRATION_TRANSITIONS) as MigrationStatus[];

/** The table of the specification, written down once more. */
const ALLOWED = new Set([
  ...["none", "cancelled", "completed", "failed"].map((from) => `${from} setup`),
  "setup active",
  "setup cancelling",
  "active cancelling",
  "cancelling cancelled",
  "active completed",
  "setup failed",
  "active failed",
  // With the capability pause-before-switchover.
  "active pre-switchover",
  "pre-switchover device",
  "pre-switchover cancelling",
  "pre-switchover failed",
  "device completed",
  "device cancelling",
  "device failed",
]);

function inState(status: MigrationStatus): MigrationState {
  const state = new MigrationState();
  Atomics.store(new Int32Array(state.buffer), 0, STATUSES.indexOf(status));
  return state;
}

describe("the migration state", () => {
  it("takes exactly the changes of the table, and only from the state it is in", () => {
    const step = fc.tuple(fc.constantFrom(...STATUSES), fc.constantFrom(...STATUSES));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const state = new MigrationState();
        const published: MigrationStatus[] = [];
        state.subscribe((status) => published.push(status));
        let model: MigrationStatus = "none";
        const expected: MigrationStatus[] = [];
        for (const [from, to] of steps) {
          if (!ALLOWED.has(`${from} ${to}`)) {
            expect(() => state.set(from, to)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
          } else if (from === model) {
            expect(state.set(from, to)).toBe(true);
            model = to;
            expected.push(to);
          } else {
            expect(state.set(from, to)).toBe(false);
          }
          expect(state.get()).toBe(model);
        }
        expect(published).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it("ends a migration that is under way, whatever state it is in", () => {
    for (const from of STATUSES) {
      for (const to of ["cancelling", "cancelled", "completed", "failed"] as const) {
        const state = inState(from);
        const hasEnded = ALLOWED.has(`${from} ${to}`);
        expect([from, to, state.end(to), state.get()]).toEqual([from, to, hasEnded, hasEnded ? to : from]);
      }
    }
  });

  it("reaches every state", () => {
    const paths: MigrationStatus[][] = [
      ["setup", "active", "completed", "setup", "failed", "setup", "cancelling", "cancelled", "setup"],
      ["setup", "active", "failed", "setup", "active", "cancelling", "cancelled"],
      ["setup", "active", "pre-switchover", "device", "completed"],
      ["setup", "active", "pre-switchover", "failed"],
    ];
    for (const path of paths) {
      const state = new MigrationState();
      for (const to of path) expect(state.set(state.get(), to)).toBe(true);
    }
  });

  it("answers what notifiers ask", () => {
    const state = new MigrationState();
    const answers = (): boolean[] => [
      state.isRunning(),
      state.isInSetup(),
      state.hasCompleted(),
      state.hasFailed(),
    ];
    const seen: Record<string, boolean[]> = { none: answers() };
    for (const to of [
      "setup",
      "active",
      "pre-switchover",
      "device",
      "completed",
      "setup",
      "failed",
      "setup",
      "cancelling",
      "cancelled",
    ] as const) {
      state.set(state.get(), to);
      seen[to] = answers();
    }
    expect(seen).toEqual({
      none: [false, false, false, false],
      setup: [true, true, false, false],
      active: [true, false, false, false],
      "pre-switchover": [true, false, false, false],
      device: [true, false, false, false],
      cancelling: [true, false, false, false],
      cancelled: [false, false, false, true],
      completed: [false, false, true, false],
      failed: [false, false, false, true],
    });
  });

  it("is shared through its buffer; listeners are not, but can be told", () => {
    const here = new MigrationState();
    const there = new MigrationState(here.buffer);
    const seen: MigrationStatus[] = [];
    const unsubscribe = here.subscribe((status) => seen.push(status));
    there.set("none", "setup");
    expect(here.get()).toBe("setup");
    expect(seen).toEqual([]);
    here.publish("setup");
    unsubscribe();
    here.publish("active");
    expect(seen).toEqual(["setup"]);
  });

  it("has one winner when two threads race for a change", async () => {
    const state = new MigrationState();
    state.set("none", "setup");
    const done = new Int32Array(new SharedArrayBuffer(4));
    const workerData = { buffer: state.buffer, done, tries: 300_000 };
    const worker = new Worker(new URL("../test/migration-state-worker.ts", import.meta.url), { workerData });
    // Keeps what comes: a fast worker has said both before this thread hears the first.
    const messages = on(worker, "message") as AsyncIterableIterator<unknown[]>;
    await messages.next();
    let failed = 0;
    let again = 0;
    while (Atomics.load(done, 0) === 0) {
      if (state.set("setup", "failed")) failed++;
      if (state.set("failed", "setup")) again++;
    }
    const [other] = (await messages.next()).value as [{ failed: number; again: number }];
    // A change that both threads believe to have made would be counted twice.
    const balance = failed + other.failed - (again + other.again);
    expect(balance).toBe(state.get() === "failed" ? 1 : 0);
  });
});
