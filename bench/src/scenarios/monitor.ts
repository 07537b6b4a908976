import { Host, startMigration } from "@peregrine/e2e/agent-process.ts";
import type { PeregrineProcess } from "@peregrine/e2e/agent-process.ts";
import { setTimeout as delay } from "node:timers/promises";
import { randomFile, sleepingGuest } from "../content-guest.ts";
import type { Row, Scenario } from "../scenario.ts";
import { median, percentile } from "../statistics.ts";

const MIB = 1024;

/** Milliseconds. */
const LIMIT = 20;

/** Between an answer and the next question. */
const REST_MS = 2;

/** How long a client of the source's monitor waits for an answer while the guest is being sent as fast as it can be. */
export const monitor: Scenario = {
  name: "monitor",
  title: `query-migrate again and again while a program of ${MIB} MiB is moved over TCP, without a bandwidth limit`,
  needsQemu: false,
  run: async ({ directory, pairs, log }) => {
    const file = await randomFile(directory, MIB);
    const times: number[] = [];
    for (let n = 0; n < pairs; n++) {
      await using host = await Host.create();
      const source = await sleepingGuest(host, directory, file, MIB);
      const { uri } = await host.receive("tcp");
      await startMigration(source, uri);
      const measured = await roundTrips(source);
      times.push(...measured);
      log(`${measured.length} questions; ${describe(measured)}`);
    }
    return [row(times)];
  },
};

/** Milliseconds of each, until the migration has ended. Errors: when it has failed. */
async function roundTrips(source: PeregrineProcess): Promise<number[]> {
  const times: number[] = [];
  for (;;) {
    const start = performance.now();
    const { status } = await source.execute<{ status?: string }>("query-migrate");
    const time = performance.now() - start;
    if (status === "completed") return times;
    if (status !== "setup" && status !== "active") throw new Error(`the migration has ended as ${status}`);
    times.push(time);
    await delay(REST_MS);
  }
}

function describe(times: readonly number[]): string {
  const [half, most, longest] = [median(times), percentile(times, 0.99), Math.max(...times)];
  return `median ${half.toFixed(1)} ms, 99th percentile ${most.toFixed(1)} ms, longest ${longest.toFixed(1)} ms`;
}

function row(times: readonly number[]): Row {
  return {
    name: "monitor",
    what: "round trip of query-migrate at the source, 99th percentile",
    figure: percentile(times, 0.99),
    unit: "ms",
    target: { atMost: LIMIT },
    samples: times,
    note: `${describe(times)}; the next question ${REST_MS} ms after each answer`,
  };
}
