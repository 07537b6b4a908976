import { isUnderWay } from "../migration-state.ts";
import { finite, timeLeft } from "./convergence.ts";
import type { OutgoingSample } from "./outgoing-sample.ts";
import { judge } from "./verdict.ts";
import type { Verdict } from "./verdict.ts";
import { verdictText } from "./verdict-text.ts";

/**
 * How far an outgoing migration is, and whether it is going to end. Plain JSON data; sizes are bytes, times are
 * milliseconds, rates are bytes per second.
 *
 * Nothing that says how far it is runs backwards, whatever the samples are: not the fraction, not the pass, not what
 * is done of a pass, not the bytes that were sent, not the smallest pass. The rates, what follows from them, and what is
 * left are those of the moment.
 */
export interface OutgoingSnapshot extends Omit<OutgoingSample, "dirtyRate"> {
  readonly direction: "outgoing";
  /** Part of the whole migration that is done, 0..1, as far as the rates tell; 1 only when it has completed. */
  readonly fraction: number;
  /** Guest memory of this pass that is sent. */
  readonly passDone: number;
  /** The same as a part of the pass, 0..1. */
  readonly passFraction: number;
  /** When this pass was seen first: milliseconds after the beginning of the migration. */
  readonly passStart: number;
  /** Null until the dirty log was harvested for the second time. */
  readonly dirtyRate: number | null;
  /**
   * How long the guest would have stood still, had it been stopped when this pass began. Null in the first pass, which
   * is all of memory, and until the rate is known.
   */
  readonly predictedDowntime: number | null;
  /** The same of the smallest pass so far: the best that was within reach, at the rate of this moment. */
  readonly leastDowntime: number | null;
  /** What the smallest pass so far had to send, and which one that was; 0 before the first. */
  readonly leastLeft: number;
  readonly leastPass: number;
  /** Passes since that one; none of them was smaller by more than chance. */
  readonly stalledPasses: number;
  /** What the pass before this one had to send; 0 if there was none. */
  readonly passBefore: number;
  /** Guest memory and drives that were sent in the passes before this one. */
  readonly doneBefore: number;
  /** When a byte went out last: milliseconds after the beginning of the migration. */
  readonly sentAt: number;
  readonly verdict: Verdict & {
    /** The same in one sentence for a person, without a full stop. */
    readonly text: string;
  };
}

/** What a migration that has not completed is shown as at most. */
const MOST_UNFINISHED = 0.99;

/**
 * How much of the whole the first pass is taken for while nobody knows how fast the guest dirties memory. If that turns
 * out to be too much, the fraction stands still for a while.
 */
const FIRST_PASS_SHARE = 0.7;

/** A pass is smaller only if it is by more than this: the size of passes goes up and down by chance. */
const SMALLER = 0.99;

/** Takes one more look into account. Samples may be late, repeated, or torn between two passes. */
export function advanceOutgoing(
  before: OutgoingSnapshot | undefined,
  sample: OutgoingSample,
): OutgoingSnapshot {
  if (before === undefined || sample.migration > before.migration) return next(undefined, sample);
  const isOver = !isUnderWay(before.state);
  return isOver || sample.migration < before.migration ? before : next(before, sample);
}

function next(before: OutgoingSnapshot | undefined, sample: OutgoingSample): OutgoingSnapshot {
  const pass = passFields(before, sample);
  const elapsed = Math.max(before?.elapsed ?? 0, sample.elapsed);
  const transferred = Math.max(before?.transferred ?? 0, sample.transferred);
  const isSilent = before !== undefined && transferred === before.transferred && sample.state !== "setup";
  const sentAt = isSilent ? before.sentAt : elapsed;
  const dirtyRate = dirtyRateOf(before, sample, pass);
  const predictedDowntime = predict(sample, pass.pass, pass.passTotal);
  const leastDowntime = predict(sample, pass.pass, pass.leastLeft);
  const left = sample.remaining + sample.diskRemaining;
  const timeToEnd = dirtyRate === null ? null : timeLeft({ ...sample, ...pass, dirtyRate, remaining: left });
  const verdict = judge({
    sample,
    dirtyRate,
    predictedDowntime,
    leastLeft: pass.leastLeft,
    leastDowntime,
    stalledPasses: pass.stalledPasses,
    timeLeft: timeToEnd,
    silence: elapsed - sentAt,
  });
  return {
    ...sample,
    ...pass,
    direction: "outgoing",
    elapsed,
    transferred,
    sentAt,
    dirtyRate,
    predictedDowntime,
    leastDowntime,
    fraction: Math.max(
      before?.fraction ?? 0,
      wholeFraction(sample, pass, isHope(verdict) ? timeToEnd : null),
    ),
    verdict: { ...verdict, text: verdictText(verdict) },
  };
}

type PassFields = Pick<
  OutgoingSnapshot,
  | "pass"
  | "passTotal"
  | "passBytes"
  | "passDone"
  | "passFraction"
  | "passStart"
  | "leastLeft"
  | "leastPass"
  | "stalledPasses"
  | "passBefore"
  | "doneBefore"
>;

function passFields(before: OutgoingSnapshot | undefined, sample: OutgoingSample): PassFields {
  if (before === undefined || sample.pass > before.pass) return newPass(before, sample);
  // A look at an earlier pass says nothing about this one.
  const now = sample.pass < before.pass ? { passBytes: 0, remaining: Infinity } : sample;
  const passDone = Math.max(before.passDone, doneOf(now, before.passTotal));
  const { pass, passTotal, passStart, leastLeft, leastPass, stalledPasses } = before;
  return {
    pass,
    passTotal,
    passBytes: Math.max(before.passBytes, now.passBytes),
    passDone,
    passFraction: partOf(passDone, passTotal),
    passStart,
    leastLeft,
    leastPass,
    stalledPasses,
    passBefore: before.passBefore,
    doneBefore: before.doneBefore,
  };
}

function newPass(before: OutgoingSnapshot | undefined, sample: OutgoingSample): PassFields {
  const { pass, passTotal, passBytes, elapsed } = sample;
  const passDone = doneOf(sample, passTotal);
  return {
    pass,
    passTotal,
    passBytes,
    passDone,
    passFraction: partOf(passDone, passTotal),
    passStart: Math.max(before?.elapsed ?? 0, elapsed),
    ...leastFields(before, sample),
    passBefore: before?.passTotal ?? 0,
    doneBefore: (before?.doneBefore ?? 0) + (before?.passDone ?? 0),
  };
}

function leastFields(
  before: OutgoingSnapshot | undefined,
  { pass, passTotal }: OutgoingSample,
): Pick<OutgoingSnapshot, "leastLeft" | "leastPass" | "stalledPasses"> {
  if (before === undefined || before.leastPass === 0) {
    return { leastLeft: passTotal, leastPass: pass, stalledPasses: 0 };
  }
  if (passTotal < before.leastLeft * SMALLER)
    return { leastLeft: passTotal, leastPass: pass, stalledPasses: 0 };
  const { leastLeft, leastPass, stalledPasses } = before;
  return { leastLeft, leastPass, stalledPasses: stalledPasses + 1 };
}

function doneOf({ remaining }: Pick<OutgoingSample, "remaining">, passTotal: number): number {
  return Math.min(Math.max(passTotal - remaining, 0), passTotal);
}

function partOf(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}

/** What the loop has measured, which takes a second; before that, what a pass has found dirty after the one before it. */
function dirtyRateOf(
  before: OutgoingSnapshot | undefined,
  sample: OutgoingSample,
  { pass, passTotal, passStart }: PassFields,
): number | null {
  if (sample.dirtyRate > 0) return sample.dirtyRate;
  if (!sample.guestRuns) return 0;
  if (before === undefined || before.pass === 0 || pass !== before.pass + 1) return before?.dirtyRate ?? null;
  const took = passStart - before.passStart;
  return finite((passTotal / took) * 1000) ?? before.dirtyRate;
}

/** The first pass is all of memory: it says nothing about how little there can be left. */
function predict(
  { retireRate, switchoverBandwidth }: OutgoingSample,
  pass: number,
  left: number,
): number | null {
  // Whoever knows what the link can do when it counts knows better than the estimate.
  const rate = switchoverBandwidth > 0 ? switchoverBandwidth : retireRate;
  return pass <= 1 || rate <= 0 ? null : finite((left / rate) * 1000);
}

/** While it is not said that it ends, nothing comes nearer to the end. */
function isHope({ kind }: Verdict): boolean {
  return kind === "converging" || kind === "ready";
}

/** What is done of all that has to be done; 0 where that cannot be told, so that what was shown stays. */
function wholeFraction(sample: OutgoingSample, pass: PassFields, timeToEnd: number | null): number {
  if (sample.state === "completed") return 1;
  const done = pass.doneBefore + pass.passDone + sample.diskTransferred;
  return Math.min(partIn(sample, pass, done, timeToEnd), MOST_UNFINISHED);
}

function partIn(
  sample: OutgoingSample,
  { pass }: PassFields,
  done: number,
  timeToEnd: number | null,
): number {
  if (sample.stopped || sample.state === "pre-switchover" || sample.state === "device")
    return MOST_UNFINISHED;
  if (timeToEnd !== null) return partOf(done, done + (timeToEnd / 1000) * sample.retireRate);
  if (pass !== 1) return 0;
  return partOf(done, done + sample.remaining + sample.diskRemaining) * FIRST_PASS_SHARE;
}
