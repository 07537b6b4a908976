import { MigrationError } from "@peregrine/protocol";
import { formatUri, parseUri } from "@peregrine/transport";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connectToGuest } from "../agent-client.ts";
import type { AgentClient } from "../agent-client.ts";
import type { ReceivedReport } from "../agent-report.ts";
import type { MigrateOptions } from "../command-options.ts";
import { HostSignals, signalStatus } from "../host-signals.ts";
import { openRegistry } from "../open-registry.ts";
import { jsonView, linesView, terminalView } from "../progress-view.ts";
import type { ProgressView } from "../progress-view.ts";
import { describeOutcome } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import { sayError } from "./say.ts";

const POLL_MS = 100;

/** `peregrine migrate`: starts a migration and follows it to its end. */
export async function migrateCommand(options: MigrateOptions): Promise<number> {
  const { name, json } = options;
  const uri = absoluteUri(options.uri);
  const client = await connectToGuest(await openRegistry(), name);
  const signals = new HostSignals();
  const view = viewFor(json);
  try {
    await begin(client, uri, options);
    const report = await follow(client, view, signals);
    view.close();
    const moved = conclude(describeOutcome(report), json);
    if (moved) return 0;
    return signals.received === undefined ? 1 : signalStatus(signals.received);
  } catch (error) {
    // Whoever reads the objects gets one that says how it ended, also when the agent is gone.
    if (json) {
      const { code, message } = MigrationError.from(error);
      process.stdout.write(`${JSON.stringify({ status: "failed", code, message } satisfies Outcome)}\n`);
    }
    throw error;
  } finally {
    signals.dispose();
    await client.close();
  }
}

/** The agent has another working directory than this process. */
function absoluteUri(uri: string): string {
  const address = parseUri(uri, "outgoing");
  return address.kind === "unix" ? formatUri({ ...address, path: resolve(address.path) }) : uri;
}

function viewFor(json: boolean): ProgressView {
  if (json) return jsonView(process.stdout);
  // A terminal that does not know its size, such as a recorded one, has no room to draw in.
  const canDraw = process.stdout.isTTY && process.stdout.columns > 0;
  return canDraw ? terminalView(process.stdout) : linesView(process.stdout);
}

async function begin(
  client: AgentClient,
  uri: string,
  { bandwidth, downtime }: MigrateOptions,
): Promise<void> {
  const { migration } = await client.report();
  // The agent refuses it, too, but the parameters of the other migration would have been changed by then.
  if (isUnderWay(migration.status)) {
    throw new MigrationError("IN_PROGRESS", `'${client.name}' is being migrated already`);
  }
  await client.execute("migrate-set-parameters", {
    "max-bandwidth": bandwidth,
    ...(downtime === undefined ? {} : { "downtime-limit": downtime }),
  });
  await client.execute("migrate", { uri });
}

/** Looks at the migration until it has ended; a signal cancels it. */
async function follow(
  client: AgentClient,
  view: ProgressView,
  signals: HostSignals,
): Promise<ReceivedReport> {
  let cancelled = false;
  for (;;) {
    if (signals.received !== undefined && !cancelled) {
      cancelled = true;
      await client.execute("migrate_cancel");
    }
    const report = await client.report();
    if (!isUnderWay(report.migration.status)) return report;
    if (report.migration.status === "active" && report.progress !== null) view.show(report.progress);
    await (cancelled ? delay(POLL_MS) : Promise.race([delay(POLL_MS), signals.first]));
  }
}

function isUnderWay(status: string | undefined): boolean {
  return status === "setup" || status === "active";
}

/** Tells how it ended. @returns whether the guest has moved. */
function conclude(outcome: Outcome, json: boolean): boolean {
  if (json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
  if (outcome.status !== "completed") {
    sayError(outcome);
    return false;
  }
  if (!json) process.stdout.write(`${outcome.summary}\n`);
  return true;
}
