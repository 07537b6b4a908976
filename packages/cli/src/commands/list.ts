import { MigrationError } from "@peregrine/protocol";
import { connectToGuest } from "../agent-client.ts";
import type { ReceivedReport } from "../agent-report.ts";
import { openRegistry } from "../open-registry.ts";
import type { Registry } from "../registry.ts";
import { formatSize } from "@peregrine/shared-state";
import { sayError } from "./say.ts";

const TITLES = ["NAME", "PID", "STATE", "MEMORY", "MIGRATION", "PROGRAM"];

/** `peregrine list`. */
export async function listCommand({ json }: { readonly json: boolean }): Promise<number> {
  const registry = await openRegistry();
  const answers = await Promise.all((await registry.names()).map((name) => reportOf(registry, name)));
  const reports = answers.filter((report) => report !== undefined);
  process.stdout.write(json ? `${JSON.stringify(reports, undefined, 2)}\n` : table(reports));
  return 0;
}

async function reportOf(registry: Registry, name: string): Promise<ReceivedReport | undefined> {
  try {
    const client = await connectToGuest(registry, name);
    try {
      return await client.report();
    } finally {
      await client.close();
    }
  } catch (error) {
    const { code, message } = MigrationError.from(error);
    // It ended while the list was made.
    if (code !== "NO_SUCH_GUEST" && code !== "CHANNEL_FAILED") sayError({ code, message });
    return undefined;
  }
}

function table(reports: readonly ReceivedReport[]): string {
  const rows = reports.map((report) => [
    report.name ?? "-",
    String(report.pid),
    report.status,
    formatSize(report.memory),
    report.migration.status ?? "-",
    report.program ?? "-",
  ]);
  const widths = TITLES.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length)),
  );
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ");
  return [TITLES, ...rows].map((row) => `${line(row).trimEnd()}\n`).join("");
}
