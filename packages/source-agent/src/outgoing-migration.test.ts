import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { OutgoingMigrationEvent } from "./outgoing-options.ts";
import { Source } from "./testing/source.ts";
import { ALL_EXTENSIONS, askFor } from "@peregrine/protocol";

const MiB = 1 << 20;

describe("a migration", () => {
  test("sends a guest that writes all the time, completely and in order", async () => {
    await using source = await Source.make({ dirtyRate: 40 * MiB });
    await using receiver = await source.receiver();
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("completed");
    source.machine.verify();
    source.expectSame(receiver);
    expect(receiver.blocks.map(({ name, length }) => [name, length])).toEqual([
      ["test.ram", 512 * 4096],
      ["test.rom", 16 * 4096],
    ]);
    // How often it is waited for depends on what the guest writes meanwhile.
    const items = receiver.items.filter(
      (item, n, all) => item !== "ram part" && !all.slice(0, n).includes(item),
    );
    expect(items).toEqual([
      "configuration test-1",
      "open-return-path",
      "ping 1",
      `ping ${askFor(ALL_EXTENSIONS)}`,
      "test-layout full",
      "ping 2",
      "ram start",
      "ping 3",
      "ram end",
      "test-guest full",
      "globalstate full",
      "end mark",
      "vmdescription",
    ]);
    expect(receiver.description).toMatchObject({
      page_size: 4096,
      devices: [{ name: "test-layout" }, { name: "test-guest" }, { name: "globalstate" }],
    });
    expect(source.run.state).toBe("postmigrate");
    await expect(source.run.cont()).rejects.toMatchObject({ code: "WRONG_STATE" });
    expect(source.migration.ownership).toBe("not-owner");
  });

  test("sends what changed of the pages that it sent before, with xbzrle", async () => {
    await using source = await Source.make({ dirtyRate: 40 * MiB });
    const prepared = Promise.withResolvers<void>();
    await using receiver = await source.receiver({ prepared: prepared.promise });
    source.migration.setCapabilities({ xbzrle: true });
    source.migration.setCacheSize(3 * MiB, 4 * MiB);
    source.migration.setDowntime(0);
    source.migration.migrate(receiver.uri);
    while (receiver.deltas < 200) await source.progress();
    source.migration.setDowntime(1);
    prepared.resolve();
    expect(await source.ended()).toBe("completed");
    source.machine.verify();
    source.expectSame(receiver);
    const info = source.migration.query();
    expect(info).toMatchObject({
      status: "completed",
      "xbzrle-cache": { "cache-size": 2 * MiB, overflow: 0 },
    });
    const { pages, bytes } = source.migration.statistics.xbzrle;
    expect(pages).toBeGreaterThanOrEqual(receiver.deltas);
    // One byte of each page changes: two lengths and the byte, behind three bytes of head. The first time it is more.
    expect(bytes).toBeGreaterThan(6 * receiver.deltas);
    expect(bytes).toBeLessThan(64 * receiver.deltas);
    source.migration.setCapabilities({ xbzrle: false });
    expect(source.migration.query()).not.toHaveProperty("xbzrle-cache");
  });

  test("goes over a unix socket", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "peregrine-"));
    await using source = await Source.make();
    await using receiver = await source.receiver({}, `unix:${folder}/socket`);
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("completed");
    source.expectSame(receiver);
    await rm(folder, { recursive: true });
  });

  test("lets the guest run until the end", async () => {
    const prepared = Promise.withResolvers<void>();
    await using source = await Source.make();
    await using receiver = await source.receiver({ prepared: prepared.promise });
    source.migration.migrate(receiver.uri);
    await source.reaches("active");
    for (let n = 0; n < 20; n++) await source.progress();
    expect(source.run.state).toBe("running");
    prepared.resolve();
    expect(await source.ended()).toBe("completed");
  });

  test("does not switch over before the destination is prepared", async () => {
    const prepared = Promise.withResolvers<void>();
    await using source = await Source.make();
    await using receiver = await source.receiver({ prepared: prepared.promise });
    source.migration.migrate(receiver.uri);
    await source.reaches("active");
    // Everything was sent several times over.
    while (source.migration.statistics.dirtySyncCount < 5) await source.progress();
    expect(source.migration.status).toBe("active");
    expect(receiver.items).not.toContain("ram end");
    prepared.resolve();
    expect(await source.ended()).toBe("completed");
    source.expectSame(receiver);
  });

  test("takes memory along that the guest took into use meanwhile", async () => {
    const prepared = Promise.withResolvers<void>();
    await using source = await Source.make();
    await using receiver = await source.receiver({ prepared: prepared.promise });
    source.migration.migrate(receiver.uri);
    await source.reaches("active");
    source.machine.grow(100);
    source.machine.guest.ram.store(0, 350 * 4096 + 17, 99);
    prepared.resolve();
    expect(await source.ended()).toBe("completed");
    expect(receiver.ram[0]![350 * 4096 + 17]).toBe(99);
    source.expectSame(receiver);
  });

  test("sends a guest that is paused, as paused", async () => {
    await using source = await Source.make();
    await source.run.stop("paused");
    await using receiver = await source.receiver();
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("completed");
    expect(source.run.state).toBe("postmigrate");
    source.expectSame(receiver);
  });

  test("leaves a paused guest paused when it fails", async () => {
    await using source = await Source.make();
    await source.run.stop("paused");
    await using receiver = await source.receiver({ shut: 1 });
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("failed");
    expect(source.run.state).toBe("paused");
    expect(source.machine.running).toBe(false);
  });

  test("tells of states and passes", async () => {
    await using source = await Source.make({ dirtyRate: 40 * MiB });
    const events: OutgoingMigrationEvent[] = [];
    source.migration.subscribe((event) => events.push(event));
    await using receiver = await source.receiver();
    source.migration.migrate(receiver.uri);
    await source.ended();
    const passes = events.flatMap((event) => (event.kind === "migration-pass" ? [event.pass] : []));
    expect(passes).toEqual(passes.map((_, n) => n + 1));
    expect(passes.length).toBeGreaterThan(0);
    expect(source.statuses).toEqual(["setup", "active", "completed"]);
  });

  test("calls notifiers before the first byte and in the end", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver();
    const calls: string[] = [];
    const remove = source.migration.addNotifier((state) => {
      calls.push(`${state.get()} ${source.migration.statistics.transferred > 0}`);
    });
    source.migration.addNotifier((state) => {
      if (state.isInSetup()) throw new Error("not now");
    });
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("failed");
    expect(source.migration.query()).toEqual({ status: "failed", "error-desc": "not now" });
    expect(receiver.bytes).toBe(0);
    expect(calls).toEqual(["setup false", "failed false"]);
    remove();
  });

  test("says that it has completed when everything is cleaned up", async () => {
    await using source = await Source.make();
    await using receiver = await source.receiver();
    const order: string[] = [];
    const stopDirtyLog = source.machine.stopDirtyLog.bind(source.machine);
    source.machine.stopDirtyLog = async () => {
      await stopDirtyLog();
      order.push("the log is off");
    };
    source.migration.subscribe((event) => {
      if (event.kind === "migration" && event.status === "completed") order.push("completed");
    });
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("completed");
    expect(order).toEqual(["the log is off", "completed"]);
  });

  test("fills in the statistics", async () => {
    await using source = await Source.make({ dirtyRate: 20 * MiB });
    await using receiver = await source.receiver();
    expect(source.migration.query()).toEqual({});
    expect(source.migration.statistics.mbps).toBe(-1);
    source.migration.migrate(receiver.uri);
    expect(source.migration.query()).toEqual({ status: "setup" });
    await source.ended();
    const info = source.migration.query();
    expect(info).toMatchObject({ status: "completed", ram: { total: 272 * 4096, remaining: 0, skipped: 0 } });
    const { statistics, downtimeBreakdown } = source.migration;
    expect(statistics.transferred).toBe(receiver.bytes);
    expect(statistics.precopyBytes + statistics.downtimeBytes).toBe(receiver.bytes);
    expect(statistics.normal + statistics.duplicate).toBeGreaterThanOrEqual(272);
    expect(statistics.mbps).toBeGreaterThan(0);
    const { total, ...parts } = downtimeBreakdown!;
    expect(Object.values(parts).reduce((sum, part) => sum + part, 0)).toBeCloseTo(total);
    expect(Object.values(parts).every((part) => part >= 0)).toBe(true);
    expect(statistics.downtime).toBe(Math.round(total));
    expect(statistics.totalTime).toBeGreaterThanOrEqual(statistics.setupTime + statistics.downtime);
  });

  test("keeps capabilities, parameters and limit from one attempt to the next", async () => {
    await using source = await Source.make();
    source.migration.setParameters({ "max-bandwidth": 123 * MiB });
    source.migration.setDowntime(0.2);
    source.migration.setCapabilities({ events: true });
    await using receiver = await source.receiver({ shut: 1 });
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("failed");
    expect(source.migration.queryParameters()).toMatchObject({
      "max-bandwidth": 123 * MiB,
      "downtime-limit": 200,
    });
    expect(source.migration.queryCapabilities()).toMatchObject({ events: true });
    await source.expectUntouched();
    await source.expectMigrates();
  });

  test("dispose ends what is under way", async () => {
    const source = await Source.make();
    await using receiver = await source.receiver({ prepared: new Promise(() => {}) });
    source.migration.migrate(receiver.uri);
    await source.reaches("active");
    await source.migration.dispose();
    expect(source.migration.status).toBe("cancelled");
    expect(() => source.migration.migrate(receiver.uri)).toThrow("This agent is about to end");
    await source[Symbol.asyncDispose]();
  });
});
