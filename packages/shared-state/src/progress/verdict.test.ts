import { expect, test } from "vitest";
import { advanceOutgoing } from "./outgoing-snapshot.ts";
import type { OutgoingSample } from "./outgoing-sample.ts";
import type { OutgoingSnapshot } from "./outgoing-snapshot.ts";
import { MIB, sample } from "../../test/progress-samples.ts";

function verdictAfter(samples: readonly OutgoingSample[]): OutgoingSnapshot["verdict"] {
  let snapshot: OutgoingSnapshot | undefined;
  for (const next of samples) snapshot = advanceOutgoing(snapshot, next);
  return snapshot!.verdict;
}

/** Passes of so many MiB each, from the first on. */
function passes(totals: readonly number[], changes: Partial<OutgoingSample> = {}): OutgoingSample[] {
  return totals.map((total, index) =>
    sample({
      pass: index + 1,
      passTotal: total * MIB,
      remaining: total * MIB,
      elapsed: index * 1000,
      transferred: index * MIB,
      ...changes,
    }),
  );
}

/** 310 MiB/s are dirtied, 180 MiB/s are sent. */
const TOO_FAST = { dirtyRate: 310 * MIB, sendRate: 180 * MIB, retireRate: 180 * MIB, threshold: 5.4 * MIB };

test("rates that do not tell are no verdict", () => {
  expect(verdictAfter([sample({ dirtyRate: 0, retireRate: 0 })])).toEqual({
    kind: "too-early",
    passTimeLeft: null,
    text: "too early to say when it ends",
  });
  expect(verdictAfter([sample({ dirtyRate: 0, remaining: 50 * MIB, retireRate: 10 * MIB })]).text).toBe(
    "too early to say when it ends; this pass takes about 5 s more",
  );
});

test("a guest that dirties less than is sent converges, and the passes that are left add up", () => {
  // 10 s for this pass, and 5 s, 2.5 s, 1.25 s, 0.625 s, 0.3125 s; then less than 2 MiB are left, for 0.15625 s.
  const verdict = verdictAfter(
    passes([200, 100], { retireRate: 10 * MIB, sendRate: 10 * MIB, dirtyRate: 5 * MIB, threshold: 2 * MIB }),
  );
  expect(verdict).toMatchObject({ kind: "converging" });
  expect((verdict as { timeLeft: number }).timeLeft).toBeCloseTo(10_000 + 9687.5 + 156.25, 3);
  expect(verdict.text).toBe("converging, about 20 s left");
});

test("a guest that dirties more than is sent does not converge: that is said with what would help", () => {
  expect(verdictAfter(passes([100, 100], TOO_FAST))).toMatchObject({ kind: "too-early" });
  expect(verdictAfter(passes([100, 100, 100], TOO_FAST))).toEqual({
    kind: "will-not-converge",
    dirtyRate: 310 * MIB,
    sendRate: 180 * MIB,
    leastLeft: 100 * MIB,
    allowed: 5.4 * MIB,
    advice: [
      { kind: "xbzrle", option: "--xbzrle" },
      { kind: "auto-converge", option: "--auto-converge" },
      { kind: "downtime", option: "--downtime", ms: 556 },
      { kind: "pause", option: null },
    ],
    text:
      "will not converge: dirtying 310 MiB/s, sending 180 MiB/s; try --xbzrle, --auto-converge, " +
      "--downtime 556 or `peregrine stop`, which pauses the guest",
  });
});

test("a guest that dirties about as fast as is sent does not converge, whichever rate is measured a little higher", () => {
  for (const dirtyRate of [95 * MIB, 105 * MIB])
    expect(verdictAfter(passes([100, 100, 100], { dirtyRate })).kind).toBe("will-not-converge");
  expect(verdictAfter(passes([100, 100, 100], { dirtyRate: 80 * MIB })).kind).toBe("too-early");
});

test("passes that shrink less than the rates promise are believed", () => {
  const slow = { retireRate: 10 * MIB, sendRate: 10 * MIB, dirtyRate: 1 * MIB, threshold: 50 * MIB };
  // Of 80 MiB: 8 s for this pass, 6.4 s and 5.12 s for the next ones, and 4.096 s for the last.
  expect(verdictAfter(passes([100, 80], slow)).text).toBe("converging, about 24 s left");
  expect(verdictAfter(passes([100, 80, 80], slow))).toMatchObject({ kind: "too-early" });
});

test("a guest that is slower, and writes to the same pages over and over, does not converge either", () => {
  const changes = { dirtyRate: 80 * MIB };
  expect(verdictAfter(passes([100, 10, 10, 10], changes)).kind).not.toBe("will-not-converge");
  expect(verdictAfter(passes([100, 10, 10, 10, 10], changes)).text).toContain(
    "will not converge: dirtying 80 MiB/s, sending 100 MiB/s, but each pass leaves 10 MiB or more, " +
      "and 3 MiB would be little enough; try --xbzrle, ",
  );
});

test("passes that shrink are hope, and so is one that is smaller than all before it", () => {
  const changes = { dirtyRate: 99 * MIB };
  expect(verdictAfter(passes([100, 50, 40, 39, 38, 37, 36], changes)).kind).toBe("converging");
  expect(verdictAfter(passes([100, 50, 51, 50, 90], changes)).kind).toBe("will-not-converge");
  expect(verdictAfter(passes([100, 50, 51, 50, 90, 49], changes)).kind).toBe("converging");
});

test("passes that become smaller by chance are no hope", () => {
  const totals = [100, 50, 49.9, 49.8, 49.7];
  expect(verdictAfter(passes(totals, { dirtyRate: 99 * MIB })).kind).toBe("will-not-converge");
});

test("passes that do not shrink are no concern when the downtime is within its limit", () => {
  expect(verdictAfter(passes([2, 2, 2, 2, 2, 2])).kind).toBe("ready");
});

test.each<[string, Partial<OutgoingSample>, readonly string[]]>([
  ["multifd", { multifd: true }, ["auto-converge", "downtime", "pause"]],
  ["mapped-ram", { mappedRam: true }, ["auto-converge", "downtime", "pause"]],
  ["xbzrle", { xbzrle: true }, ["auto-converge", "downtime", "pause"]],
  [
    "xbzrle with a cache that is too small",
    { xbzrle: true, xbzrleMissRate: 0.9 },
    ["xbzrle-cache", "auto-converge", "downtime", "pause"],
  ],
  [
    "a bandwidth limit that is reached",
    { bandwidthLimit: 190 * MIB },
    ["xbzrle", "auto-converge", "bandwidth", "downtime", "pause"],
  ],
  [
    "a bandwidth limit that is far",
    { bandwidthLimit: 1900 * MIB },
    ["xbzrle", "auto-converge", "downtime", "pause"],
  ],
  ["a guest that cannot be slowed down", { canThrottle: false }, ["xbzrle", "downtime", "pause"]],
  ["a guest that is slowed down as far as it may", { throttle: 99 }, ["xbzrle", "downtime", "pause"]],
  [
    "a downtime that cannot be allowed",
    { retireRate: 0.01 * MIB, sendRate: 0.01 * MIB },
    ["xbzrle", "auto-converge", "pause"],
  ],
])("with %s only what is not on and applies is advised", (_, changes, advised) => {
  const verdict = verdictAfter(passes([100, 100, 100], { ...TOO_FAST, ...changes }));
  expect(verdict).toMatchObject({ kind: "will-not-converge" });
  expect("advice" in verdict && verdict.advice.map(({ kind }) => kind)).toEqual(advised);
});

test("while auto-converge can still slow the guest down, nothing is lost", () => {
  const samples = (throttle: number): OutgoingSample[] =>
    passes([100, 100, 100, 100], { ...TOO_FAST, autoConverge: true, throttle });
  expect(verdictAfter(samples(0)).text).toBe(
    "does not converge yet; auto-converge is about to slow the guest down",
  );
  expect(verdictAfter(samples(40))).toEqual({
    kind: "throttling",
    percentage: 40,
    text: "does not converge yet; auto-converge keeps the guest from running for 40 % of the time",
  });
  expect(verdictAfter(samples(99)).kind).toBe("will-not-converge");
});

test("a migration from which nothing goes out is said to stand still, and one that connects is not", () => {
  const at = (elapsed: number, changes: Partial<OutgoingSample> = {}): OutgoingSample =>
    sample({ elapsed, transferred: 5, ...changes });
  expect(verdictAfter([at(1000), at(3900)]).kind).toBe("converging");
  expect(verdictAfter([at(1000), at(4000)])).toMatchObject({ kind: "not-moving", since: 3000 });
  const setup = { state: "setup" as const, pass: 0, passTotal: 0, remaining: 0 };
  expect(verdictAfter([at(0, setup), at(9000, setup), at(9001)]).kind).toBe("converging");
});

test.each<[Partial<OutgoingSample>, string]>([
  [{ state: "setup" }, "connecting"],
  [{ stopped: true }, "switching-over"],
  [{ state: "device" }, "switching-over"],
  [{ state: "pre-switchover" }, "paused-before-switchover"],
  [{ state: "cancelling" }, "cancelling"],
  [{ arriving: true, guestRuns: false }, "arriving"],
  [{ remaining: MIB }, "ready"],
  [{ state: "failed" }, "ended"],
])("%j is %s", (changes, kind) => {
  expect(verdictAfter([sample(changes)])).toMatchObject({ kind });
});
