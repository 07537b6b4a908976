import { formatRate, formatSize, formatTime } from "@peregrine/shared-state";
import type { ShownProgress } from "./agent-report.ts";

const LONGEST_BAR = 40;
/** Columns that the text beside the bar takes. */
const BESIDE_BAR = 44;
const SHORTEST_BAR = 10;

/** The lines that a terminal shows while a migration goes on. */
export function progressLines(progress: ShownProgress, columns: number): string[] {
  const { fraction, verdict } = progress;
  const length = Math.min(LONGEST_BAR, Math.max(SHORTEST_BAR, columns - BESIDE_BAR));
  // Rounded down: only a migration that is over is full.
  const full = Math.floor(fraction * length);
  const bar = "#".repeat(full) + "-".repeat(length - full);
  return [
    `[${bar}] ${percentText(progress).padStart(5)}  ${passText(progress)}`,
    figures(progress),
    verdict.text,
  ];
}

/** The same in one line, for output that is kept. */
export function progressLine(progress: ShownProgress): string {
  return `${passText(progress)}, ${percentText(progress)} in all, ${figures(progress)}; ${progress.verdict.text}`;
}

/** How much of the migration is done. */
export function percentText({ fraction }: ShownProgress): string {
  return `${Math.floor(fraction * 100)} %`;
}

export function passText({ pass, passDone, passTotal }: ShownProgress): string {
  return `pass ${pass}: ${formatSize(passDone)} of ${formatSize(passTotal)}`;
}

/** What goes out, and what becomes dirty meanwhile. */
export function rateText({
  transferred,
  sendRate,
  dirtyRate,
  diskTotal,
  diskRemaining,
}: ShownProgress): string {
  return [
    ...(diskTotal > 0 ? [`${formatSize(diskRemaining)} of drives left`] : []),
    `${formatSize(transferred)} sent`,
    `sending ${formatRate(sendRate)}`,
    `dirtying ${dirtyRate === null ? "not known yet" : formatRate(dirtyRate)}`,
  ].join(", ");
}

/** How long the guest would stand still, and how long it may. */
export function downtimeText(progress: ShownProgress): string {
  const { predictedDowntime, downtimeLimit, leastDowntime, leastPass } = progress;
  const predicted = predictedDowntime === null ? "not known yet" : formatTime(predictedDowntime);
  const best = leastDowntime === null ? "" : `, best ${formatTime(leastDowntime)} in pass ${leastPass}`;
  return `${predicted}, limit ${formatTime(downtimeLimit)}${best}`;
}

function figures(progress: ShownProgress): string {
  return `${rateText(progress)}, downtime ${downtimeText(progress)}`;
}
