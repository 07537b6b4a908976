import type { ReceivedReport } from "../agent-report.ts";
import { formatSize, formatTime } from "../size.ts";

/** How a migration ended. Times are milliseconds, sizes bytes. */
export type Outcome =
  | {
      readonly status: "completed";
      readonly totalTime: number;
      readonly downtime: number;
      /** What the downtime was made of. */
      readonly downtimeParts: ReceivedReport["downtime"];
      readonly passes: number;
      readonly transferred: number;
      readonly summary: string;
    }
  | { readonly status: "failed" | "cancelled"; readonly code: string; readonly message: string };

/** @param report of an agent whose migration has ended. */
export function describeOutcome(report: ReceivedReport): Outcome {
  const { migration, progress, error } = report;
  switch (migration.status) {
    case "completed": {
      const { "total-time": totalTime = 0, downtime = 0 } = migration;
      const { pass: passes = 0, transferred = 0 } = progress ?? {};
      const summary =
        `moved in ${formatTime(totalTime)}: ${passes} ${passes === 1 ? "pass" : "passes"}, ` +
        `${formatSize(transferred)} sent, downtime ${formatTime(downtime)}${partsOf(report.downtime)}`;
      return {
        status: "completed",
        totalTime,
        downtime,
        downtimeParts: report.downtime,
        passes,
        transferred,
        summary,
      };
    }
    case "cancelled":
      return {
        status: "cancelled",
        code: "CANCELLED",
        message: "The migration was cancelled; the guest stays here",
      };
    default: {
      const message = error?.message ?? migration["error-desc"] ?? "The reason is not known";
      return { status: "failed", code: error?.code ?? "COMMAND_FAILED", message };
    }
  }
}

function partsOf(parts: ReceivedReport["downtime"]): string {
  if (parts === null) return "";
  const { stop, save, lastPages, deviceState, load } = parts;
  const named = [
    ["stop", stop],
    ["save", save],
    ["last pages", lastPages],
    ["device state", deviceState],
    ["load", load],
  ] as const;
  return ` (${named.map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(", ")})`;
}
