import { MigrationError } from "@peregrine/protocol";
import type { MigrateRequest } from "@peregrine/shared-state";
import type { ObjectProperties } from "@peregrine/transport";
import { setTimeout as delay } from "node:timers/promises";
import { connectToGuest } from "../agent-client.ts";
import type { AgentClient } from "../agent-client.ts";
import type { ReceivedReport } from "../agent-report.ts";
import type { SendOptions, TimeLimit } from "../command-options.ts";
import { HostSignals, signalStatus } from "../host-signals.ts";
import { openRegistry } from "../open-registry.ts";
import { isShown, progressView } from "../progress-view.ts";
import type { ProgressView } from "../progress-view.ts";
import { settingsOf } from "../send-settings.ts";
import { describeOutcome, printOutcome } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import { TimeKeeper } from "./time-limit.ts";

const POLL_MS = 100;

const UNDER_WAY: ReadonlySet<string | undefined> = new Set(["setup", "active", "pre-switchover", "device"]);

export interface FollowedMigration {
  readonly name: string;
  /** As the agent understands it: with an absolute path. */
  readonly uri: string;
  readonly send: SendOptions;
  readonly request: MigrateRequest;
  readonly objects: readonly ObjectProperties[];
  readonly timeLimit: TimeLimit | undefined;
  readonly json: boolean;
}

/** Starts a migration and follows it to its end. @returns the exit status. */
export async function followMigration(migration: FollowedMigration): Promise<number> {
  const { name, json, timeLimit } = migration;
  const view = await progressView(json);
  const client = await connectToGuest(await openRegistry(), name);
  const signals = new HostSignals();
  try {
    await begin(client, migration);
    const report = await follow({ client, view, signals, timeKeeper: new TimeKeeper(timeLimit) });
    view.close();
    const done = printOutcome(describeOutcome(report), json);
    if (done) return 0;
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

async function begin(client: AgentClient, { uri, send, request, objects }: FollowedMigration): Promise<void> {
  const { migration } = await client.report();
  // The agent refuses it, too, but the parameters of the other migration would have been changed by then.
  if (UNDER_WAY.has(migration.status)) {
    throw new MigrationError("IN_PROGRESS", `'${client.name}' is being migrated already`);
  }
  for (const properties of objects) await replaceObject(client, properties);
  const { capabilities, parameters } = settingsOf(send);
  await client.execute("migrate-set-capabilities", {
    capabilities: Object.entries(capabilities).map(([capability, state]) => ({ capability, state })),
  });
  await client.execute("migrate-set-parameters", parameters);
  await client.execute("x-peregrine-migrate", { uri, ...request });
}

/** So a command can be given again, and finds certificates that were renewed. */
async function replaceObject(client: AgentClient, properties: ObjectProperties): Promise<void> {
  const { id } = properties;
  if (typeof id === "string") {
    await client.execute("object-del", { id }).catch((error: unknown) => {
      // There was none.
      if (!MigrationError.is(error) || error.code !== "COMMAND_FAILED") throw error;
    });
  }
  await client.execute("object-add", properties);
}

interface Following {
  readonly client: AgentClient;
  readonly view: ProgressView;
  readonly signals: HostSignals;
  readonly timeKeeper: TimeKeeper;
}

/** Looks at the migration until it has ended; a signal cancels it. */
async function follow({ client, view, signals, timeKeeper }: Following): Promise<ReceivedReport> {
  let cancelled = false;
  for (;;) {
    if (signals.received !== undefined && !cancelled) {
      cancelled = true;
      await client.execute("migrate_cancel");
    }
    const report = await client.report();
    if (!UNDER_WAY.has(report.migration.status)) return report;
    if (report.progress !== null && isShown(report.progress)) view.show(report.progress);
    const done = await timeKeeper.look(client);
    if (done !== undefined) view.note(done);
    await (cancelled ? delay(POLL_MS) : Promise.race([delay(POLL_MS), signals.first]));
  }
}
