import { PAGE_SIZE } from "./machine.ts";
import type { MigrationStatus } from "./migration-state.ts";
import type { MigrationStatistics } from "./migration-statistics.ts";
import type { IncomingSnapshot } from "./progress/incoming-snapshot.ts";
import type { OutgoingSnapshot } from "./progress/outgoing-snapshot.ts";

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
  /** Of postcopy, which is not built: always 0. */
  readonly "postcopy-requests": number;
  readonly "postcopy-bytes": number;
  /** Of zero-copy-send, which is not built: always 0. */
  readonly "dirty-sync-missed-zero-copy": number;
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
export type MigrationInfo = (
  | { readonly status?: never }
  | { readonly status: "setup" | "cancelled" }
  | ActiveInfo
  | CompletedInfo
  | { readonly status: "failed"; readonly "error-desc": string }
) & {
  /** Why a migration would be refused now, newest first. Only when it would. */
  readonly "blocked-reasons"?: readonly string[];
};

/** The answer of `query-migrate` while a migration runs. Times in milliseconds, sizes in bytes. */
export type ActiveInfo = {
  readonly status: "active" | "pre-switchover" | "device";
  /** So far. */
  readonly "total-time": number;
  readonly "expected-downtime": number;
  readonly "setup-time": number;
  readonly ram: RamInfo;
  /** Only if drives are migrated. It has `transferred`, `remaining` and `total`; the others are 0. */
  readonly disk?: RamInfo;
  /** Only while the capability is on. */
  readonly "xbzrle-cache"?: XbzrleInfo;
  /** Only while the guest is throttled. */
  readonly "cpu-throttle-percentage"?: number;
};

/** The answer of `query-migrate` when a migration has completed. Times in milliseconds, sizes in bytes. */
export type CompletedInfo = {
  readonly status: "completed";
  readonly "total-time": number;
  readonly downtime: number;
  readonly "setup-time": number;
  readonly ram: RamInfo;
  /** Only while the capability is on. */
  readonly "xbzrle-cache"?: XbzrleInfo;
};

/** What `query-migrate` tells beyond QEMU's members. */
export type ProgressInfo = {
  /** Of the migration that the other members are about, as long as it is under way. */
  readonly "x-peregrine-progress"?: OutgoingSnapshot | IncomingSnapshot;
};

/** What the answer of `query-migrate` is made of. */
export interface MigrationInfoInput {
  readonly status: MigrationStatus;
  readonly statistics: MigrationStatistics;
  /** Milliseconds of the clock that `statistics.startTime` is of. */
  readonly now: number;
  /** Why the migration failed. */
  readonly error?: string | undefined;
  /** Bytes of the XBZRLE cache, while the capability is on. */
  readonly xbzrleCacheSize?: number | undefined;
  /** Why a migration would be refused now, newest first. */
  readonly blockedReasons?: readonly string[];
}

/** The answer of `query-migrate`. */
export function migrationInfo(input: MigrationInfoInput): MigrationInfo {
  const { blockedReasons = [] } = input;
  const info = statusInfo(input);
  return blockedReasons.length === 0 ? info : { ...info, "blocked-reasons": blockedReasons };
}

function statusInfo(input: MigrationInfoInput): MigrationInfo {
  const { status, statistics, now, error } = input;
  switch (status) {
    case "none":
      return {};
    case "setup":
    case "cancelled":
      return { status };
    case "active":
    case "pre-switchover":
    case "device":
    case "cancelling":
      return {
        status: status === "cancelling" ? "active" : status,
        "total-time": now - statistics.startTime,
        "expected-downtime": statistics.expectedDowntime,
        "setup-time": statistics.setupTime,
        ram: ramInfo(statistics, statistics.remaining),
        ...diskInfo(statistics),
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

/** What clients expect, and what there is nothing of here to be counted. */
const UNCOUNTED = {
  skipped: 0,
  "postcopy-requests": 0,
  "postcopy-bytes": 0,
  "dirty-sync-missed-zero-copy": 0,
};

/** What is counted for memory and not for drives. */
const UNCOUNTED_OF_DISKS = {
  ...UNCOUNTED,
  duplicate: 0,
  normal: 0,
  "normal-bytes": 0,
  "dirty-pages-rate": 0,
  mbps: 0,
  "dirty-sync-count": 0,
  "page-size": 0,
  "pages-per-second": 0,
  "precopy-bytes": 0,
  "downtime-bytes": 0,
  "multifd-bytes": 0,
};

function ramInfo(statistics: MigrationStatistics, remaining: number): RamInfo {
  return {
    ...UNCOUNTED,
    transferred: statistics.transferred,
    remaining,
    total: statistics.total,
    duplicate: statistics.duplicate,
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

function diskInfo({ diskTransferred, diskRemaining, diskTotal }: MigrationStatistics): {
  readonly disk?: RamInfo;
} {
  if (diskTotal === 0) return {};
  const counted = { transferred: diskTransferred, remaining: diskRemaining, total: diskTotal };
  return { disk: { ...UNCOUNTED_OF_DISKS, ...counted } };
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
