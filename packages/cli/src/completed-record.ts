import { MigrationError } from "@peregrine/protocol";
import { readFile, rename, writeFile } from "node:fs/promises";
import * as v from "valibot";
import { ReceivedReport } from "./agent-report.ts";
import type { AgentReport } from "./agent-report.ts";

/** Whether there is something to be told of a migration that has ended. */
export function hasCompleted(report: Pick<AgentReport | ReceivedReport, "migration" | "arrival">): boolean {
  return report.migration.status === "completed" || report.arrival !== null;
}

/**
 * Leaves what an agent knew of its last migration, for those who ask when it is gone. Only a help: that it cannot be
 * written is no reason for the agent to fail.
 */
export async function leaveRecord(path: string, report: AgentReport): Promise<void> {
  if (!hasCompleted(report)) return;
  const unfinished = `${path}.${report.pid}`;
  try {
    await writeFile(unfinished, JSON.stringify(report), { mode: 0o600 });
    await rename(unfinished, path);
  } catch (error) {
    process.emitWarning(MigrationError.from(error));
  }
}

/** What an agent that has ended left; undefined when there is nothing, or nothing that is understood. */
export async function readRecord(path: string): Promise<ReceivedReport | undefined> {
  try {
    return v.parse(ReceivedReport, JSON.parse(await readFile(path, "utf8")));
  } catch {
    return undefined;
  }
}
