import type { ReceivedReport } from "../agent-report.ts";
import { formatRate, formatSize, formatTime } from "@peregrine/shared-state";
import { describeOutcome } from "./outcome.ts";

/** The figures of the last migration that has ended, in each direction. Times are milliseconds, sizes bytes. */
export interface CompletedMigrations {
  readonly name: string | null;
  readonly sent:
    | (ReceivedReport["migration"] & {
        readonly to: string | null;
        /** What the downtime was made of, as far as the source can know. */
        readonly downtimeParts: ReceivedReport["downtime"];
      })
    | null;
  readonly received: NonNullable<ReceivedReport["arrival"]> | null;
}

export function completedOf(report: ReceivedReport): CompletedMigrations {
  const { name, migration, target, arrival, downtime: downtimeParts } = report;
  const sent = migration.status === "completed" ? { to: target, ...migration, downtimeParts } : null;
  return { name, sent, received: arrival };
}

type Row = readonly [label: string, text: string];

/** The same for a person, a line each. */
export function completedText(report: ReceivedReport): string {
  const rows = [...arrivalRows(report), ...sentRows(report)];
  return rows.map(([label, text]) => `${label.padEnd(12)} ${text}\n`).join("");
}

function arrivalRows({ arrival }: ReceivedReport): readonly Row[] {
  if (arrival === null) return [];
  const { bytes, pages, zeroPages, totalTime, lateDevicesTime, startTime, afterAnswerTime } = arrival;
  return [
    ["received", `${formatSize(bytes)} in ${formatTime(totalTime)}`],
    ["  pages", `${pages} whole, ${zeroPages} of one byte throughout`],
    [
      "  downtime",
      `devices ${lateDevicesTime.toFixed(1)} ms, end of stream to start ${startTime.toFixed(1)} ms, of which ` +
        `${afterAnswerTime.toFixed(1)} ms after the answer to the source`,
    ],
  ];
}

function sentRows(report: ReceivedReport): readonly Row[] {
  const outcome = describeOutcome(report);
  const { ram, "setup-time": setupTime = 0 } = report.migration;
  if (outcome.status !== "completed" || ram === undefined) return [];
  return [
    ["sent", `to ${report.target ?? "?"}: ${outcome.summary}`],
    ["  setup", formatTime(setupTime)],
    ["  memory", formatSize(ram.total)],
    ["  pages", `${ram.normal} whole, ${ram.duplicate} of one byte throughout`],
    [
      "  bytes",
      `${formatSize(ram["precopy-bytes"])} while it ran, ${formatSize(ram["downtime-bytes"])} while it stood still`,
    ],
    ["  last rate", formatRate((ram.mbps * 1_000_000) / 8)],
  ];
}
