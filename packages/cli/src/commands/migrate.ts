import { MigrationError } from "@peregrine/protocol";
import { setTimeout as delay } from "node:timers/promises";
import { absoluteUri } from "../absolute-uri.ts";
import { connectToGuest } from "../agent-client.ts";
import type { AgentClient } from "../agent-client.ts";
import type { ReceivedReport } from "../agent-report.ts";
import type { MigrateOptions } from "../command-options.ts";
import { HostSignals, signalStatus } from "../host-signals.ts";
import { openRegistry } from "../open-registry.ts";
import { progressView } from "../progress-view.ts";
import type { ProgressView } from "../progress-view.ts";
import { settingsOf } from "../send-settings.ts";
import { describeOutcome, printOutcome } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

const POLL_MS = 100;

/** `peregrine migrate`: starts a migration and follows it to its end. */
export async function migrateCommand(options: MigrateOptions): Promise<number> {
  const { name, json } = options;
  const uri = absoluteUri(options.uri);
  const client = await connectToGuest(await openRegistry(), name);
  const signals = new HostSignals();
  const view = progressView(json);
  try {
    await begin(client, uri, options);
    const report = await follow(client, view, signals);
    view.close();
    const moved = printOutcome(describeOutcome(report), json);
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

async function begin(client: AgentClient, uri: string, { send }: MigrateOptions): Promise<void> {
  const { migration } = await client.report();
  // The agent refuses it, too, but the parameters of the other migration would have been changed by then.
  if (isUnderWay(migration.status)) {
    throw new MigrationError("IN_PROGRESS", `'${client.name}' is being migrated already`);
  }
  const { capabilities, parameters } = settingsOf(send);
  await client.execute("migrate-set-capabilities", {
    capabilities: Object.entries(capabilities).map(([capability, state]) => ({ capability, state })),
  });
  await client.execute("migrate-set-parameters", parameters);
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
