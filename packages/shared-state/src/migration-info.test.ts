import { describe, expect, it } from "vitest";
import { migrationInfo } from "./migration-info.ts";
import type { MigrationStatus } from "./migration-state.ts";
import { MigrationStatistics } from "./migration-statistics.ts";
import { XBZRLE_COUNTERS, XbzrleStatistics } from "./xbzrle-statistics.ts";

function statistics(): MigrationStatistics {
  const filled = new MigrationStatistics();
  filled.reset(1000);
  filled.transferred = 5_000_000_000;
  filled.remaining = 8192;
  filled.total = 10_000_000_000;
  filled.duplicate = 11;
  filled.normal = 12;
  filled.dirtyPagesRate = 13.4;
  filled.dirtySyncCount = 3;
  filled.pagesPerSecond = 14.6;
  filled.precopyBytes = 15;
  filled.downtimeBytes = 16;
  filled.mbps = 17.5;
  filled.setupTime = 2;
  filled.expectedDowntime = 25;
  filled.downtime = 9;
  filled.totalTime = 700;
  filled.multifdBytes = 18;
  filled.throttlePercentage = 30;
  filled.diskTransferred = 24;
  filled.diskRemaining = 25;
  filled.diskTotal = 49;
  filled.xbzrle.bytes = 19;
  filled.xbzrle.pages = 20;
  filled.xbzrle.cacheMiss = 21;
  filled.xbzrle.cacheMissRate = 0.25;
  filled.xbzrle.encodingRate = 22.5;
  filled.xbzrle.overflow = 23;
  return filled;
}

const ram = {
  transferred: 5_000_000_000,
  remaining: 8192,
  total: 10_000_000_000,
  duplicate: 11,
  skipped: 0,
  normal: 12,
  "normal-bytes": 49_152,
  "dirty-pages-rate": 13,
  mbps: 17.5,
  "dirty-sync-count": 3,
  "page-size": 4096,
  "pages-per-second": 15,
  "precopy-bytes": 15,
  "downtime-bytes": 16,
  "multifd-bytes": 18,
  "postcopy-requests": 0,
  "postcopy-bytes": 0,
  "dirty-sync-missed-zero-copy": 0,
};

/** Drives have the keys of memory. */
const disk = {
  ...Object.fromEntries(Object.keys(ram).map((key) => [key, 0])),
  transferred: 24,
  remaining: 25,
  total: 49,
};

const cache = {
  "cache-size": 65_536,
  bytes: 19,
  pages: 20,
  "cache-miss": 21,
  "cache-miss-rate": 0.25,
  "encoding-rate": 22.5,
  overflow: 23,
};

const progress = {
  "total-time": 500,
  "expected-downtime": 25,
  "setup-time": 2,
  ram,
  disk,
  "xbzrle-cache": cache,
  "cpu-throttle-percentage": 30,
};

const result = {
  "total-time": 700,
  downtime: 9,
  "setup-time": 2,
  ram: { ...ram, remaining: 0 },
  "xbzrle-cache": cache,
};

/** Every state, and everything that is answered in it. */
const ANSWERS: Record<MigrationStatus, unknown> = {
  none: {},
  setup: { status: "setup" },
  active: { status: "active", ...progress },
  "pre-switchover": { status: "pre-switchover", ...progress },
  device: { status: "device", ...progress },
  cancelling: { status: "active", ...progress },
  completed: { status: "completed", ...result },
  failed: { status: "failed", "error-desc": "Connection refused" },
  cancelled: { status: "cancelled" },
};

const info = (status: MigrationStatus, filled = statistics()): unknown =>
  migrationInfo({
    status,
    statistics: filled,
    now: 1500,
    error: "Connection refused",
    xbzrleCacheSize: 65_536,
  });

describe("the answer of query-migrate", () => {
  it.each(Object.entries(ANSWERS))("is this in %s", (status, answer) => {
    expect(info(status as MigrationStatus)).toStrictEqual(answer);
  });

  it("has XBZRLE, drives and throttle only where there are any", () => {
    const filled = statistics();
    filled.diskTotal = 0;
    filled.throttlePercentage = 0;
    const { disk: _disk, "xbzrle-cache": _cache, "cpu-throttle-percentage": _throttle, ...rest } = progress;
    const answer = migrationInfo({ status: "active", statistics: filled, now: 1500 });
    expect(answer).toStrictEqual({ status: "active", ...rest });
  });

  it.each(Object.keys(ANSWERS))("has the reasons that would refuse a migration, also in %s", (status) => {
    const input = { status: status as MigrationStatus, statistics: statistics(), now: 1500, error: "x" };
    const blockedReasons = ["the newer reason", "the older reason"];
    expect(migrationInfo({ ...input, blockedReasons })).toStrictEqual({
      ...migrationInfo(input),
      "blocked-reasons": blockedReasons,
    });
  });
});

describe("the statistics", () => {
  const setters = (prototype: object): string[] =>
    Object.entries(Object.getOwnPropertyDescriptors(prototype))
      .filter(([, property]) => property.set !== undefined)
      .map(([name]) => name);
  const counters = setters(MigrationStatistics.prototype) as "transferred"[];
  const ofXbzrle = setters(XbzrleStatistics.prototype) as "pages"[];

  it("begin with an mbps of -1 and with 0 in all the rest", () => {
    const fresh = new MigrationStatistics();
    for (const name of counters)
      expect([name, fresh[name]]).toEqual([name, (name as string) === "mbps" ? -1 : 0]);
    for (const name of ofXbzrle) expect([name, fresh.xbzrle[name]]).toEqual([name, 0]);
  });

  it("keep each counter in a place of its own, for every thread that opens the buffer", () => {
    const writer = new MigrationStatistics();
    const reader = new MigrationStatistics(writer.buffer);
    for (const [index, name] of counters.entries()) writer[name] = 1000 + index;
    for (const [index, name] of ofXbzrle.entries()) writer.xbzrle[name] = 2000 + index;
    for (const [index, name] of counters.entries()) expect(reader[name]).toBe(1000 + index);
    for (const [index, name] of ofXbzrle.entries()) expect(reader.xbzrle[name]).toBe(2000 + index);
    expect([counters.length, ofXbzrle.length]).toEqual([28, XBZRLE_COUNTERS]);
  });

  it("are all 0 at the beginning of a migration, mbps too", () => {
    const filled = statistics();
    filled.reset(42);
    for (const name of counters) {
      expect([name, filled[name]]).toEqual([name, (name as string) === "startTime" ? 42 : 0]);
    }
    for (const name of ofXbzrle) expect([name, filled.xbzrle[name]]).toEqual([name, 0]);
  });
});
