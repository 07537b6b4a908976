import { PAGE_SIZE } from "./machine.ts";
import type { MigrationStatus } from "./migration-state.ts";
import type { MigrationStatistics } from "./migration-statistics.ts";

/** Pages and bytes of guest memory, with the names that `query-migrate` has. */
export type RamInfo = {
  /** Bytes of the stream sent. */
  readonly transferred: number;
  /** Bytes of guest memory still to be sent. */
  readonly remaining: number;
  /** Bytes of guest memory. */
  readonly total: number;
  /** Pages sent as a fill byte. */
  readonly duplicate: number;
  /** Pages left out: always 0. */
  readonly skipped: number;
  /** Pages sent whole. */
  readonly normal: number;
  readonly "normal-bytes": number;
  /** Pages per second. */
  readonly "dirty-pages-rate": number;
  /** Megabits per second. */
  readonly mbps: number;
  readonly "dirty-sync-count": number;
  /** Bytes. */
  readonly "page-size": number;
  readonly "pages-per-second": number;
  /** Bytes sent while the guest ran. */
  readonly "precopy-bytes": number;
  /** Bytes sent while the guest was stopped. */
  readonly "downtime-bytes": number;
  /** Bytes sent on the connections of multifd. */
  readonly "multifd-bytes": number;
};

/** How XBZRLE does, with the names that `query-migrate` has. The counters are those of XbzrleStatistics. */
export type XbzrleInfo = {
  /** Bytes. */
  readonly "cache-size": number;
  readonly bytes: number;
  readonly pages: number;
  readonly "cache-miss": number;
  readonly "cache-miss-rate": number;
  readonly "encoding-rate": number;
  readonly overflow: number;
};

/** The answer of `query-migrate`. Which keys there are depends on the status. Times are milliseconds. */
export type MigrationInfo =
  | { readonly status?: never }
  | { readonly status: "setup" | "cancelled" }
  | ActiveInfo
  | CompletedInfo
  | { readonly status: "failed"; readonly "error-desc": string };

export type ActiveInfo = {
  readonly status: "active";
  /** So far. */
  readonly "total-time": number;
  readonly "expected-downtime": number;
  readonly "setup-time": number;
  readonly ram: RamInfo;
  /** Only while the capability is on. */
  readonly "xbzrle-cache"?: XbzrleInfo;
  /** Only while the guest is throttled. */
  readonly "cpu-throttle-percentage"?: number;
};

export type CompletedInfo = {
  readonly status: "completed";
  readonly "total-time": number;
  readonly downtime: number;
  readonly "setup-time": number;
  readonly ram: RamInfo;
  /** Only while the capability is on. */
  readonly "xbzrle-cache"?: XbzrleInfo;
};

export interface MigrationInfoInput {
  readonly status: MigrationStatus;
  readonly statistics: MigrationStatistics;
  /** Milliseconds of the clock that `statistics.startTime` is of. */
  readonly now: number;
  /** Why the migration failed. */
  readonly error?: string | undefined;
  /** Bytes of the XBZRLE cache, while the capability is on. */
  readonly xbzrleCacheSize?: number | undefined;
}

export function migrationInfo(input: MigrationInfoInput): MigrationInfo {
  const { status, statistics, now, error } = input;
  switch (status) {
    case "none":
      return {};
    case "setup":
    case "cancelled":
      return { status };
    case "active":
    case "cancelling":
      return {
        status: "active",
        "total-time": now - statistics.startTime,
        "expected-downtime": statistics.expectedDowntime,
        "setup-time": statistics.setupTime,
        ram: ramInfo(statistics, statistics.remaining),
        ...xbzrleInfo(input),
        ...(statistics.throttlePercentage > 0
          ? { "cpu-throttle-percentage": statistics.throttlePercentage }
          : {}),
      };
    case "completed":
      return {
        status,
        "total-time": statistics.totalTime,
        downtime: statistics.downtime,
        "setup-time": statistics.setupTime,
        ram: ramInfo(statistics, 0),
        ...xbzrleInfo(input),
      };
    default:
      status satisfies "failed";
      return { status, "error-desc": error ?? "The reason is not known" };
  }
}

function ramInfo(statistics: MigrationStatistics, remaining: number): RamInfo {
  return {
    transferred: statistics.transferred,
    remaining,
    total: statistics.total,
    duplicate: statistics.duplicate,
    skipped: 0,
    normal: statistics.normal,
    "normal-bytes": statistics.normalBytes,
    "dirty-pages-rate": Math.round(statistics.dirtyPagesRate),
    mbps: statistics.mbps,
    "dirty-sync-count": statistics.dirtySyncCount,
    "page-size": PAGE_SIZE,
    "pages-per-second": Math.round(statistics.pagesPerSecond),
    "precopy-bytes": statistics.precopyBytes,
    "downtime-bytes": statistics.downtimeBytes,
    "multifd-bytes": statistics.multifdBytes,
  };
}

function xbzrleInfo({ statistics, xbzrleCacheSize }: MigrationInfoInput): {
  readonly "xbzrle-cache"?: XbzrleInfo;
} {
  if (xbzrleCacheSize === undefined) return {};
  const { bytes, pages, cacheMiss, cacheMissRate, encodingRate, overflow } = statistics.xbzrle;
  return {
    "xbzrle-cache": {
      "cache-size": xbzrleCacheSize,
      bytes,
      pages,
      "cache-miss": cacheMiss,
      "cache-miss-rate": cacheMissRate,
      "encoding-rate": encodingRate,
      overflow,
    },
  };
}
