import type { OutgoingSample } from "./outgoing-sample.ts";
import { formatSize } from "./units.ts";

/** What can be done so that a migration ends, with the option of `peregrine migrate` that does it. */
export type ConvergenceAdvice =
  /** Send what has changed in a page instead of the page. */
  | { readonly kind: "xbzrle"; readonly option: "--xbzrle" }
  /** Keep more pages to compare with. `bytes` is the next size. */
  | { readonly kind: "xbzrle-cache"; readonly option: "--xbzrle"; readonly bytes: number }
  /** Slow the guest down as far as it takes. */
  | { readonly kind: "auto-converge"; readonly option: "--auto-converge" }
  /** Allow more bytes per second. */
  | { readonly kind: "bandwidth"; readonly option: "--bandwidth" }
  /** Allow a downtime that was within reach. Milliseconds. */
  | { readonly kind: "downtime"; readonly option: "--downtime"; readonly ms: number }
  /** Pause the guest until it has moved. */
  | { readonly kind: "pause"; readonly option: null };

/** The longest downtime that can be allowed, milliseconds. */
const MAX_DOWNTIME_MS = 2_000_000;

/** From here on the bandwidth limit is what holds the migration up. */
const NEAR_LIMIT = 0.8;

/** From here on the cache of XBZRLE is too small to be of use. */
const MANY_MISSES = 0.5;

/** What applies to a migration and is not on already, the mildest first. `leastDowntime`: the best so far. */
export function adviseConvergence(
  sample: OutgoingSample,
  leastDowntime: number | null,
): readonly ConvergenceAdvice[] {
  const advice: ConvergenceAdvice[] = [];
  const { xbzrle, multifd, mappedRam, xbzrleMissRate, xbzrleCacheSize, total } = sample;
  // It goes neither with multifd nor with mapped-ram.
  if (!xbzrle && !multifd && !mappedRam) advice.push({ kind: "xbzrle", option: "--xbzrle" });
  if (xbzrle && xbzrleMissRate > MANY_MISSES && xbzrleCacheSize < total) {
    advice.push({ kind: "xbzrle-cache", option: "--xbzrle", bytes: xbzrleCacheSize * 2 });
  }
  const { autoConverge, throttle, canThrottle, bandwidthLimit, sendRate } = sample;
  if (canThrottle && !autoConverge && throttle === 0) {
    advice.push({ kind: "auto-converge", option: "--auto-converge" });
  }
  if (bandwidthLimit > 0 && sendRate >= bandwidthLimit * NEAR_LIMIT) {
    advice.push({ kind: "bandwidth", option: "--bandwidth" });
  }
  const ms = Math.ceil(leastDowntime ?? 0);
  if (ms > sample.downtimeLimit && ms <= MAX_DOWNTIME_MS) {
    advice.push({ kind: "downtime", option: "--downtime", ms });
  }
  if (sample.guestRuns) advice.push({ kind: "pause", option: null });
  return advice;
}

/** As it is said to a person. */
export function adviceText(advice: ConvergenceAdvice): string {
  switch (advice.kind) {
    case "xbzrle":
    case "auto-converge":
      return advice.option;
    case "xbzrle-cache":
      return `a cache of ${formatSize(advice.bytes)} for --xbzrle`;
    case "bandwidth":
      return "a higher --bandwidth";
    case "downtime":
      return `--downtime ${advice.ms}`;
    default:
      advice satisfies { kind: "pause" };
      return "`peregrine stop`, which pauses the guest";
  }
}
