import type { MigrationCounters } from "./agent-report.ts";

/** What one look at a migration shows. */
export type ProgressSample = MigrationCounters;

/**
 * How far a migration is. Nothing that says how far it is runs backwards: not the pass, not the fraction within a
 * pass, not the bytes, not the best that was reached. The rates are those of the moment.
 */
export interface Progress {
  readonly pass: number;
  /** Part of this pass that is done, 0 … 1. */
  readonly fraction: number;
  readonly passTotal: number;
  /** Bytes of guest memory of this pass that are done. */
  readonly passDone: number;
  readonly transferred: number;
  /** Bytes of drives, and how many of them are left: as many more as the guest writes to. */
  readonly diskTotal: number;
  readonly diskRemaining: number;
  readonly sendRate: number;
  readonly dirtyRate: number;
  /** Milliseconds that the guest would have stood still, had it been stopped when this pass began. */
  readonly predictedDowntime: number | undefined;
  readonly downtimeLimit: number;
  /** 0 is unlimited. */
  readonly bandwidthLimit: number;
  /** Bytes of the smallest pass so far. */
  readonly leastPassTotal: number;
  /** The smallest prediction so far. */
  readonly leastDowntime: number | undefined;
  /** Passes since the smallest that were no smaller. */
  readonly stalledPasses: number;
}

/** So many passes without getting nearer, and there is no reason why the next one should. */
const HOPELESS_PASSES = 3;

/** Takes one more look into account. Samples may be late, repeated or torn between two passes. */
export function advance(before: Progress | undefined, sample: ProgressSample): Progress {
  const { sendRate, dirtyRate, downtimeLimit, bandwidthLimit, diskTotal, diskRemaining } = sample;
  const transferred = Math.max(before?.transferred ?? 0, sample.transferred);
  const now = {
    transferred,
    sendRate,
    dirtyRate,
    downtimeLimit,
    bandwidthLimit,
    diskTotal,
    diskRemaining,
  };
  if (before === undefined || sample.pass > before.pass) return { ...now, ...newPass(before, sample) };
  if (sample.pass < before.pass) return { ...before, ...now };
  const passDone = Math.max(before.passDone, doneOf(sample, before.passTotal));
  return {
    ...before,
    ...now,
    ...predict(before, before, sample),
    passDone,
    fraction: fractionOf(passDone, before.passTotal),
  };
}

/** Whether the migration is not going to end by itself. */
export function willNotConverge(progress: Progress): boolean {
  const { stalledPasses, predictedDowntime, downtimeLimit } = progress;
  return (
    stalledPasses >= HOPELESS_PASSES && predictedDowntime !== undefined && predictedDowntime > downtimeLimit
  );
}

type PassFields = Omit<
  Progress,
  | "transferred"
  | "sendRate"
  | "dirtyRate"
  | "downtimeLimit"
  | "bandwidthLimit"
  | "diskTotal"
  | "diskRemaining"
>;

function newPass(before: Progress | undefined, sample: ProgressSample): PassFields {
  const { pass, passTotal } = sample;
  const passDone = doneOf(sample, passTotal);
  const least = before === undefined || before.pass === 0 ? Infinity : before.leastPassTotal;
  return {
    pass,
    passTotal,
    passDone,
    fraction: fractionOf(passDone, passTotal),
    ...predict(before, { pass, passTotal }, sample),
    leastPassTotal: Math.min(least, passTotal),
    stalledPasses: passTotal < least ? 0 : (before?.stalledPasses ?? 0) + 1,
  };
}

function doneOf({ remaining }: ProgressSample, passTotal: number): number {
  return Math.min(Math.max(passTotal - remaining, 0), passTotal);
}

function fractionOf(done: number, total: number): number {
  return total > 0 ? done / total : 0;
}

/** The first pass is all of memory: it says nothing about how little there can be left. */
function predict(
  before: Progress | undefined,
  { pass, passTotal }: Pick<Progress, "pass" | "passTotal">,
  { retireRate }: ProgressSample,
): Pick<Progress, "predictedDowntime" | "leastDowntime"> {
  const least = before?.leastDowntime;
  if (pass <= 1 || retireRate <= 0) return { predictedDowntime: undefined, leastDowntime: least };
  const predictedDowntime = (passTotal / retireRate) * 1000;
  return { predictedDowntime, leastDowntime: Math.min(least ?? Infinity, predictedDowntime) };
}
