import { connectToGuest } from "../agent-client.ts";
import type { ImageReport, ReceivedReport } from "../agent-report.ts";
import { openRegistry } from "../open-registry.ts";
import { formatSize } from "../size.ts";
import { describeOutcome } from "./outcome.ts";

const OWNERS: Readonly<Record<ReceivedReport["owner"], string>> = {
  owner: "this side",
  "not-owner": "the other side",
  undecided: "being handed over",
};

/** `peregrine info`. */
export async function infoCommand(name: string, { json }: { readonly json: boolean }): Promise<number> {
  const client = await connectToGuest(await openRegistry(), name);
  try {
    const report = await client.report();
    process.stdout.write(json ? `${JSON.stringify(report, undefined, 2)}\n` : infoText(report));
    return 0;
  } finally {
    await client.close();
  }
}

/** Everything about a guest, a line each. */
function infoText(report: ReceivedReport): string {
  const rows: readonly (readonly [string, string])[] = [
    ["name", report.name ?? "-"],
    ["process", String(report.pid)],
    ["program", report.program ?? "not known yet"],
    ["machine", report.machine],
    ["state", report.status],
    ["role", report.role],
    ["held by", OWNERS[report.owner]],
    ["memory", formatSize(report.memory)],
    ...(report.image === null ? [] : [["image", imageText(report.image)] as const]),
    ["migration", migrationText(report)],
  ];
  return rows.map(([label, text]) => `${label.padEnd(10)} ${text}\n`).join("");
}

function imageText({ contents, devices, runState }: ImageReport): string {
  const sections = devices === null ? "devices that cannot be told apart" : `${devices} device sections`;
  const state = runState === null ? "" : `, ${runState} at its source`;
  return `${formatSize(contents)} of contents, ${sections}${state}`;
}

/** One line about the present or last migration. */
function migrationText(report: ReceivedReport): string {
  switch (report.migration.status) {
    case undefined:
      return "none";
    case "setup":
      return "connecting";
    case "active":
      return `under way, pass ${report.progress?.pass ?? 0}`;
    default: {
      const outcome = describeOutcome(report);
      return outcome.status === "completed" ? outcome.summary : `${outcome.status}: ${outcome.message}`;
    }
  }
}
