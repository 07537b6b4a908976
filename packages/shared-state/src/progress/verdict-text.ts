import { adviceText } from "./advice.ts";
import { formatEstimate, formatRate, formatSize, formatTime } from "./units.ts";
import type { Verdict } from "./verdict.ts";

/** A verdict in one sentence for a person, without a full stop. */
export function verdictText(verdict: Verdict): string {
  switch (verdict.kind) {
    case "connecting":
      return "connecting";
    case "too-early":
      return verdict.passTimeLeft === null
        ? "too early to say when it ends"
        : `too early to say when it ends; this pass takes ${formatEstimate(verdict.passTimeLeft)} more`;
    case "converging":
      return `converging, ${formatEstimate(verdict.timeLeft)} left`;
    case "ready":
      return "little enough is left to switch over";
    case "will-not-converge":
      return hopelessText(verdict);
    case "throttling":
      return verdict.percentage === 0
        ? "does not converge yet; auto-converge is about to slow the guest down"
        : `does not converge yet; auto-converge keeps the guest from running for ${verdict.percentage} % of the time`;
    case "not-moving":
      return `nothing was sent for ${formatTime(verdict.since)}: neither the destination nor the network takes it`;
    case "arriving":
      return "the guest is still arriving here, and is sent on as it comes";
    case "paused-before-switchover":
      return "stopped before the switchover, until the monitor's command migrate-continue";
    case "switching-over":
      return "switching over: the rest is being sent";
    case "cancelling":
      return "being cancelled";
    default:
      verdict satisfies { kind: "ended" };
      return verdict.state;
  }
}

function hopelessText(verdict: Extract<Verdict, { kind: "will-not-converge" }>): string {
  const { dirtyRate, sendRate, leastLeft, allowed, advice } = verdict;
  const rates = `dirtying ${formatRate(dirtyRate)}, sending ${formatRate(sendRate)}`;
  // A guest that writes to the same pages over and over is not faster, and still never done.
  const passes = `each pass leaves ${formatSize(leastLeft)} or more, and ${formatSize(allowed)} would be little enough`;
  const why = dirtyRate >= sendRate ? rates : `${rates}, but ${passes}`;
  const what = advice.length === 0 ? "" : `; try ${inWords(advice.map(adviceText))}`;
  return `will not converge: ${why}${what}`;
}

function inWords(choices: readonly string[]): string {
  const last = choices.at(-1)!;
  return choices.length === 1 ? last : `${choices.slice(0, -1).join(", ")} or ${last}`;
}
