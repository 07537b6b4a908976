import type { MigrationStatistics } from "@peregrine/shared-state";

/** A migration that was over before the first accounting has the rate of the whole. */
export function completeRate(statistics: MigrationStatistics): void {
  const seconds = Math.max(statistics.totalTime - statistics.setupTime, 1) / 1000;
  if (statistics.mbps === 0) statistics.mbps = (statistics.transferred * 8) / seconds / 1_000_000;
}
