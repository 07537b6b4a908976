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
};

const info = (status: MigrationStatus, filled = statistics(), error?: string): unknown =>
  migrationInfo({ status, statistics: filled, now: 1500, error });

describe("the answer of query-migrate", () => {
  it("is empty in none", () => {
    expect(info("none")).toStrictEqual({});
  });

  it("is only the status in setup and cancelled", () => {
    expect(info("setup")).toStrictEqual({ status: "setup" });
    expect(info("cancelled")).toStrictEqual({ status: "cancelled" });
  });

  it("is the progress in active, and the same in cancelling, which is called active", () => {
    const expected = {
      status: "active",
      "total-time": 500,
      "expected-downtime": 25,
      "setup-time": 2,
      ram,
    };
    expect(info("active")).toStrictEqual(expected);
    expect(info("cancelling")).toStrictEqual(expected);
  });

  it("has the figures of XBZRLE while it is on", () => {
    const cache = {
      "cache-size": 65_536,
      bytes: 19,
      pages: 20,
      "cache-miss": 21,
      "cache-miss-rate": 0.25,
      "encoding-rate": 22.5,
      overflow: 23,
    };
    for (const status of ["active", "cancelling", "completed"] as const) {
      const input = { status, statistics: statistics(), now: 1500, xbzrleCacheSize: 65_536 };
      expect(migrationInfo(input)).toMatchObject({ "xbzrle-cache": cache });
    }
    const failed = {
      status: "failed",
      statistics: statistics(),
      now: 1500,
      xbzrleCacheSize: 65_536,
    } as const;
    expect(migrationInfo(failed)).not.toHaveProperty("xbzrle-cache");
  });

  it("names the throttle only while there is one", () => {
    const throttled = statistics();
    throttled.throttlePercentage = 30;
    expect(info("active", throttled)).toMatchObject({ "cpu-throttle-percentage": 30 });
    expect(info("completed", throttled)).not.toHaveProperty("cpu-throttle-percentage");
  });

  it("is the result in completed, with nothing remaining", () => {
    expect(info("completed")).toStrictEqual({
      status: "completed",
      "total-time": 700,
      downtime: 9,
      "setup-time": 2,
      ram: { ...ram, remaining: 0 },
    });
  });

  it("is the reason in failed", () => {
    expect(info("failed", statistics(), "Connection refused")).toStrictEqual({
      status: "failed",
      "error-desc": "Connection refused",
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
    expect([counters.length, ofXbzrle.length]).toEqual([25, XBZRLE_COUNTERS]);
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
