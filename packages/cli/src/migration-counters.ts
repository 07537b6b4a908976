import { PAGE_SIZE } from "@peregrine/shared-state";
import type { OutgoingMigration } from "@peregrine/source-agent";
import type { MigrationCounters } from "./agent-report.ts";

/** Of the present or last migration; null before the first. */
export function migrationCounters(outgoing: OutgoingMigration): MigrationCounters | null {
  const { statistics, status } = outgoing;
  if (status === "none") return null;
  const parameters = outgoing.queryParameters();
  return {
    pass: statistics.pass,
    passTotal: statistics.passPages * PAGE_SIZE,
    passBytes: statistics.passBytes,
    remaining: statistics.remaining,
    total: statistics.total,
    transferred: statistics.transferred,
    diskTotal: statistics.diskTotal,
    diskRemaining: statistics.diskRemaining,
    sendRate: statistics.bandwidth * 1000,
    retireRate: statistics.retireRate * 1000,
    dirtyRate: statistics.dirtyBytesRate,
    downtimeLimit: parameters["downtime-limit"],
    bandwidthLimit: parameters["max-bandwidth"],
  };
}
