import type { AgentReport } from "@peregrine/cli";
import type { QmpClient } from "@peregrine/monitor";
import type { PeregrineProcess } from "./agent-process.ts";

/** What a move cost the guest. */
export interface MeasuredMove {
  /** From the event STOP at the source to RESUME at the destination, milliseconds. */
  readonly downtime: number;
  /** What the source says its downtime was made of, milliseconds. */
  readonly parts: NonNullable<AgentReport["downtime"]>;
  /** Bytes of the stream sent while the guest stood still. */
  readonly bytesStopped: number;
  /** From the command until the source had its answer, milliseconds. */
  readonly totalTime: number;
}

/**
 * Moves a running guest without a bandwidth limit.
 * @param live if not, it is stopped before the copy and continued after it.
 * Errors: when the migration fails.
 */
export async function measureMove(
  from: PeregrineProcess,
  to: { readonly agent: PeregrineProcess; readonly uri: string },
  { live }: { readonly live: boolean },
): Promise<MeasuredMove> {
  const [source, destination] = await Promise.all([from.monitor(), to.agent.monitor()]);
  const [stopped, resumed] = [momentOf(source, "STOP"), momentOf(destination, "RESUME")];
  await source.execute("migrate-set-parameters", { "max-bandwidth": 0 });
  await source.execute("migrate-set-capabilities", { capabilities: [{ capability: "events", state: true }] });
  if (!live) await source.execute("stop");
  const ended = endOf(source);
  await source.execute("migrate", { uri: to.uri });
  await ended;
  const { migration, downtime: parts } = (await source.execute("x-peregrine-info")) as AgentReport;
  if (migration.status !== "completed" || parts === null)
    throw new Error(`the migration did not complete: ${JSON.stringify(migration)}`);
  if (!live) await continueArrived(destination);
  return {
    downtime: (await resumed) - (await stopped),
    parts,
    bytesStopped: migration.ram["downtime-bytes"],
    totalTime: migration["total-time"],
  };
}

/** Moment of the next event of that name, ms since 1970, as the agent stamped it. */
function momentOf(client: QmpClient, name: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  client.events.subscribe(({ event, timestamp: { seconds, microseconds } }) => {
    if (event === name) resolve(seconds * 1000 + microseconds / 1000);
  });
  return promise;
}

/** Resolves with the event that tells of a migration's end: to ask again and again would take the agent's time. */
export function endOf(client: QmpClient): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  client.events.subscribe(({ event, data }) => {
    const { status } = (data ?? {}) as { readonly status?: string };
    if (event === "MIGRATION" && ["completed", "failed", "cancelled"].includes(status!)) resolve();
  });
  return promise;
}

/** It arrives a moment after the source has been told so. */
async function continueArrived(destination: QmpClient): Promise<void> {
  while (((await destination.execute("query-status")) as { status: string }).status === "inmigrate")
    await delay(1);
  await destination.execute("cont");
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
