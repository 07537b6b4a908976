import { MigrationError } from "@peregrine/protocol";
import { connectToGuest } from "../agent-client.ts";
import type { ImageReport, InterfaceReport, ReceivedReport } from "../agent-report.ts";
import type { InfoOptions } from "../command-options.ts";
import type { HookReport } from "../hooks/guest-hooks.ts";
import { hasCompleted, readRecord } from "../completed-record.ts";
import { openRegistry } from "../open-registry.ts";
import { downtimeText, passText, percentText, rateText } from "../progress-text.ts";
import { isShown } from "../progress-view.ts";
import type { Registry } from "../registry.ts";
import { formatRate, formatSize } from "@peregrine/shared-state";
import { completedOf, completedText } from "./completed.ts";
import { describeOutcome } from "./outcome.ts";

const OWNERS: Readonly<Record<ReceivedReport["owner"], string>> = {
  owner: "this side",
  "not-owner": "the other side",
  undecided: "being handed over",
};

/** `peregrine info`. */
export async function infoCommand(name: string, { completed, json }: InfoOptions): Promise<number> {
  const registry = await openRegistry();
  if (!completed) {
    const report = await reportOf(registry, name);
    print(json ? report : infoText(report));
    return 0;
  }
  const report = await completedReport(registry, name);
  print(json ? completedOf(report) : completedText(report));
  return 0;
}

function print(answer: string | object): void {
  process.stdout.write(typeof answer === "string" ? answer : `${JSON.stringify(answer, undefined, 2)}\n`);
}

async function reportOf(registry: Registry, name: string): Promise<ReceivedReport> {
  const client = await connectToGuest(registry, name);
  try {
    return await client.report();
  } finally {
    await client.close();
  }
}

/** Of the agent that has the guest, or of one that had it. Errors: NO_SUCH_GUEST, WRONG_STATE. */
async function completedReport(registry: Registry, name: string): Promise<ReceivedReport> {
  const record = await readRecord(registry.recordOf(name));
  const report = await reportOf(registry, name).catch((error: unknown) => {
    if (record !== undefined && MigrationError.is(error) && error.code === "NO_SUCH_GUEST") return record;
    throw error;
  });
  const found = [report, record].find((candidate) => candidate !== undefined && hasCompleted(candidate));
  if (found !== undefined) return found;
  throw new MigrationError("WRONG_STATE", `No migration of '${name}' has completed yet`);
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
    [
      "held by",
      isInDoubt(report) ? `nobody knows here: see peregrine resolve ${report.name}` : OWNERS[report.owner],
    ],
    ["memory", formatSize(report.memory)],
    ...(report.image === null ? [] : [["image", imageText(report.image)] as const]),
    ...report.interfaces.map((one) => ["network", interfaceText(one)] as const),
    ...report.hooks.map((one) => [`on ${one.hook}`, hookText(one)] as const),
    ...arrivalRows(report),
    ["migration", migrationText(report)],
    ...progressRows(report),
  ];
  const width = Math.max(...rows.map(([label]) => label.length), 10);
  return rows.map(([label, text]) => `${label.padEnd(width)} ${text}\n`).join("");
}

/** The connection broke while the guest was being handed over, and an operator has to say who has it. */
function isInDoubt({ owner, handOvers }: ReceivedReport): boolean {
  return owner === "undecided" && handOvers.some(({ knows }) => knows === "given" || knows === "loaded");
}

function interfaceText({ id, mac, netdev, sent, lost }: InterfaceReport): string {
  return `${id}, ${mac} on ${netdev}; ${sent} frames sent, ${lost} lost`;
}

function hookText({ reason, state, failure }: HookReport): string {
  return `${failure === null ? state : `${state}: it ${failure}`} (${reason})`;
}

function imageText({ contents, devices, runState }: ImageReport): string {
  const sections = devices === null ? "devices that cannot be told apart" : `${devices} device sections`;
  const state = runState === null ? "" : `, ${runState} at its source`;
  return `${formatSize(contents)} of contents, ${sections}${state}`;
}

/** What has come of a guest that is not all here. */
function arrivalRows({ incoming }: ReceivedReport): readonly (readonly [string, string])[] {
  if (incoming?.state !== "active") return [];
  const { received, pass, rate } = incoming;
  const parts = [
    `${formatSize(received)} received`,
    ...(pass === null ? [] : [`pass ${pass}`]),
    ...(rate === null ? [] : [formatRate(rate)]),
  ];
  return [["arriving", parts.join(", ")]];
}

/** Figures of a migration that is under way. */
function progressRows({ progress }: ReceivedReport): readonly (readonly [string, string])[] {
  if (progress === null || !isShown(progress)) return [];
  return [
    ["progress", `${percentText(progress)}, ${passText(progress)}`],
    ["rates", rateText(progress)],
    ["downtime", downtimeText(progress)],
  ];
}

/** One line about the present or last migration. */
function migrationText(report: ReceivedReport): string {
  switch (report.migration.status) {
    case undefined:
      return "none";
    case "setup":
    case "active":
    case "pre-switchover":
    case "device":
      return report.progress?.verdict.text ?? "under way";
    default: {
      const outcome = describeOutcome(report);
      return outcome.status === "completed" ? outcome.summary : `${outcome.status}: ${outcome.message}`;
    }
  }
}
