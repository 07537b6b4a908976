import { willNotConverge } from "./progress.ts";
import type { Progress } from "./progress.ts";
import { formatRate, formatSize, formatTime } from "./size.ts";

const LONGEST_BAR = 40;
/** Columns that the text beside the bar takes. */
const BESIDE_BAR = 44;
const SHORTEST_BAR = 10;

/** The lines that a terminal shows while a migration goes on. */
export function progressLines(progress: Progress, columns: number): string[] {
  const { pass, fraction, passDone, passTotal } = progress;
  const length = Math.min(LONGEST_BAR, Math.max(SHORTEST_BAR, columns - BESIDE_BAR));
  // Rounded down: only a pass that is over is full.
  const full = Math.floor(fraction * length);
  const bar = "#".repeat(full) + "-".repeat(length - full);
  const percent = `${Math.floor(fraction * 100)} %`.padStart(5);
  const lines = [
    `pass ${pass}  [${bar}] ${percent}  ${formatSize(passDone)} of ${formatSize(passTotal)}`,
    figures(progress),
  ];
  const verdict = convergenceVerdict(progress);
  return verdict === undefined ? lines : [...lines, verdict];
}

/** The same in one line, for output that is kept. */
export function progressLine(progress: Progress): string {
  const { pass, fraction, passTotal } = progress;
  return `pass ${pass}: ${Math.floor(fraction * 100)} % of ${formatSize(passTotal)}, ${figures(progress)}`;
}

function figures(progress: Progress): string {
  const { sendRate, dirtyRate, predictedDowntime, downtimeLimit, transferred } = progress;
  const { diskTotal, diskRemaining } = progress;
  const downtime = predictedDowntime === undefined ? "not known yet" : formatTime(predictedDowntime);
  return [
    ...(diskTotal > 0 ? [`${formatSize(diskRemaining)} of drives left`] : []),
    `${formatSize(transferred)} sent`,
    `sending ${formatRate(sendRate)}`,
    `dirtying ${formatRate(dirtyRate)}`,
    `downtime ${downtime}, limit ${formatTime(downtimeLimit)}`,
  ].join(", ");
}

/** Why it will not end and what to do; undefined while there is hope. */
export function convergenceVerdict(progress: Progress): string | undefined {
  if (!willNotConverge(progress)) return undefined;
  const { dirtyRate, sendRate, leastDowntime, bandwidthLimit } = progress;
  const advice = [
    `raise --downtime to ${Math.ceil(leastDowntime ?? 0)} or more`,
    ...(bandwidthLimit > 0 ? ["raise --bandwidth"] : []),
    "or pause the guest with `peregrine stop`",
  ];
  const rates = `dirtying ${formatRate(dirtyRate)}, sending ${formatRate(sendRate)}`;
  return `${rates}: will not converge; ${advice.join(", ")}`;
}
