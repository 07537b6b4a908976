import type { ConvergenceAdvice } from "./advice.ts";
import { adviseConvergence } from "./advice.ts";
import { finite } from "./convergence.ts";
import type { OutgoingSample } from "./outgoing-sample.ts";

/** Whether and when a migration is going to end, as far as can be said now. Times are milliseconds, rates bytes per second. */
export type Verdict =
  | { readonly kind: "connecting" }
  /** `passTimeLeft`: of the present pass; null when that is not known either. */
  | { readonly kind: "too-early"; readonly passTimeLeft: number | null }
  | { readonly kind: "converging"; readonly timeLeft: number }
  /** Little enough is left: the guest is stopped as soon as the destination has caught up. */
  | { readonly kind: "ready" }
  | {
      readonly kind: "will-not-converge";
      readonly dirtyRate: number;
      /** Guest memory made clean: the same unit as the dirty rate, whatever it costs on the wire. */
      readonly sendRate: number;
      /** The least that was left of a pass, and what may be left, in bytes. */
      readonly leastLeft: number;
      readonly allowed: number;
      readonly advice: readonly ConvergenceAdvice[];
    }
  /** It would not converge, and auto-converge is slowing the guest down. Percentage of time. */
  | { readonly kind: "throttling"; readonly percentage: number }
  /** Nothing goes out, although there is something to send. `since`: for how long. */
  | { readonly kind: "not-moving"; readonly since: number }
  /** The guest itself is still arriving here, and is sent on meanwhile. */
  | { readonly kind: "arriving" }
  /** The guest stands still until the monitor's `migrate-continue`. */
  | { readonly kind: "paused-before-switchover" }
  | { readonly kind: "switching-over" }
  | { readonly kind: "cancelling" }
  | { readonly kind: "ended"; readonly state: "completed" | "failed" | "cancelled" };

/** What a verdict is made from. */
export interface Findings {
  readonly sample: OutgoingSample;
  /** Null while it is not known. */
  readonly dirtyRate: number | null;
  readonly predictedDowntime: number | null;
  readonly leastLeft: number;
  readonly leastDowntime: number | null;
  readonly stalledPasses: number;
  readonly timeLeft: number | null;
  /** Milliseconds since the last byte went out. */
  readonly silence: number;
}

/** So many passes without getting nearer, and there is no reason why the next one should. */
const HOPELESS_PASSES = 3;
/** As many are enough where the rates say the same. */
const HOPELESS_PASSES_BY_RATE = 2;

/**
 * A guest that dirties all of its hot memory again in each pass dirties just as fast as is sent, and neither rate is measured
 * better than this: the verdict is not to change with every look.
 */
const AS_FAST = 0.9;

/** A migration from which nothing goes out for so long is not just waiting for its turn. Milliseconds. */
const NOT_MOVING_MS = 3000;

export function judge(findings: Findings): Verdict {
  const { state } = findings.sample;
  switch (state) {
    case "setup":
      return { kind: "connecting" };
    case "active":
      return judgeActive(findings);
    case "pre-switchover":
      return { kind: "paused-before-switchover" };
    case "device":
      return { kind: "switching-over" };
    case "cancelling":
      return { kind: "cancelling" };
    default:
      return { kind: "ended", state };
  }
}

function judgeActive(findings: Findings): Verdict {
  const { sample, dirtyRate, stalledPasses, silence, timeLeft } = findings;
  const { stopped, arriving, remaining, diskRemaining, threshold, retireRate } = sample;
  if (stopped) return { kind: "switching-over" };
  const left = remaining + diskRemaining;
  if (silence >= NOT_MOVING_MS && left > threshold) return { kind: "not-moving", since: silence };
  if (arriving) return { kind: "arriving" };
  if (isHopeless(findings)) return mayThrottleMore(sample) ? throttling(sample) : hopeless(findings);
  if (threshold > 0 && left <= threshold) return { kind: "ready" };
  if (dirtyRate !== null && timeLeft !== null && stalledPasses === 0) return { kind: "converging", timeLeft };
  return { kind: "too-early", passTimeLeft: finite((left / retireRate) * 1000) };
}

/** The least of all passes counts, not what is left now: that goes up and down with every pass. */
function isHopeless({ sample, dirtyRate, predictedDowntime, stalledPasses }: Findings): boolean {
  if (predictedDowntime === null || predictedDowntime <= sample.downtimeLimit) return false;
  const isFaster = dirtyRate !== null && dirtyRate >= AS_FAST * sample.retireRate;
  return stalledPasses >= (isFaster ? HOPELESS_PASSES_BY_RATE : HOPELESS_PASSES);
}

function mayThrottleMore({ autoConverge, throttle, maxThrottle, canThrottle }: OutgoingSample): boolean {
  return canThrottle && (autoConverge || throttle > 0) && throttle < maxThrottle;
}

function throttling({ throttle }: OutgoingSample): Verdict {
  return { kind: "throttling", percentage: throttle };
}

function hopeless({ sample, dirtyRate, leastLeft, leastDowntime }: Findings): Verdict {
  return {
    kind: "will-not-converge",
    dirtyRate: dirtyRate ?? 0,
    sendRate: sample.retireRate,
    leastLeft,
    allowed: sample.threshold,
    advice: adviseConvergence(sample, leastDowntime),
  };
}
