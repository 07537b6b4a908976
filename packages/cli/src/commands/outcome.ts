import type { DowntimeBreakdown } from "@peregrine/source-agent";
import { formatSize, formatTime } from "@peregrine/shared-state";
import { sayError } from "./say.ts";

/** How a migration ended. Times are milliseconds, sizes bytes. */
export type Outcome =
  | {
      readonly status: "completed";
      readonly totalTime: number;
      readonly downtime: number;
      /** What the downtime was made of. */
      readonly downtimeParts: DowntimeBreakdown | null;
      readonly passes: number;
      readonly transferred: number;
      /** Whether the guest is known to be elsewhere. */
      readonly moved: boolean;
      readonly summary: string;
    }
  | { readonly status: "failed" | "cancelled"; readonly code: string; readonly message: string };

/** What of an agent's report tells how its migration ended. */
export interface EndReport {
  readonly migration: {
    readonly status?: string | undefined;
    readonly "total-time"?: number | undefined;
    readonly downtime?: number | undefined;
    readonly "error-desc"?: string | undefined;
  };
  readonly progress: { readonly pass: number; readonly transferred: number } | null;
  readonly name: string | null;
  readonly moved: boolean;
  readonly copied: boolean;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly downtime: DowntimeBreakdown | null;
}

/** @param report of an agent whose migration has ended. */
export function describeOutcome(report: EndReport): Outcome {
  const { migration, progress, error } = report;
  switch (migration.status) {
    case "completed": {
      const { "total-time": totalTime = 0, downtime = 0 } = migration;
      const { pass: passes = 0, transferred = 0 } = progress ?? {};
      const summary =
        `${verbOf(report)} in ${formatTime(totalTime)}: ${passes} ${passes === 1 ? "pass" : "passes"}, ` +
        `${formatSize(transferred)} sent, downtime ${formatTime(downtime)}${partsOf(report.downtime)}${whereabouts(report)}`;
      return {
        status: "completed",
        totalTime,
        downtime,
        downtimeParts: report.downtime,
        passes,
        transferred,
        moved: report.moved,
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

function verbOf({ moved, copied }: EndReport): string {
  if (copied) return "copied";
  return moved ? "moved" : "sent";
}

function whereabouts({ moved, copied, name }: EndReport): string {
  if (moved) return "";
  if (copied) return "; the guest has stayed here";
  return `; nobody was asked whether it has arrived, so it is kept here until peregrine quit ${name ?? ""}`;
}

function partsOf(parts: DowntimeBreakdown | null): string {
  if (parts === null) return "";
  const { stop, pause, harvest, lastPages, deviceState, load } = parts;
  const named = [
    ["stop", stop],
    ...(pause > 0 ? [["pause", pause] as const] : []),
    ["harvest", harvest],
    ["last pages", lastPages],
    ["device state", deviceState],
    ["load", load],
  ] as const;
  return ` (${named.map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(", ")})`;
}

/** Prints it. @returns whether the guest has moved. */
export function printOutcome(outcome: Outcome, json: boolean): boolean {
  if (json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
  if (outcome.status !== "completed") {
    sayError(outcome);
    return false;
  }
  if (!json) process.stdout.write(`${outcome.summary}\n`);
  return true;
}
