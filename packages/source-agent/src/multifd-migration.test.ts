import { PAGE_SIZE } from "@peregrine/shared-state";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { CarriedParts } from "./testing/carried-machine.ts";
import { CarriedSource } from "./testing/carried-source.ts";
import { MultifdReceiver } from "./testing/multifd-receiver.ts";
import type { MultifdReceiverOptions } from "./testing/multifd-receiver.ts";

const PAGES = 2000;
const UUID = Uint8Array.from({ length: 16 }, (_, index) => 0xf0 + index);

/** A machine with memory enough for many packets; every fifth page is zero. */
function parts(machineType: string, pages: number): CarriedParts {
  const memory = Buffer.alloc(pages * PAGE_SIZE);
  for (let page = 0; page < pages; page++) memory.fill(page % 5, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
  return {
    opening: { configuration: { machineType }, footers: true, early: [], uuid: UUID },
    closing: {
      late: [{ name: "timer", instance: 0, version: 2, payload: Uint8Array.of(1, 2, 3) }],
      ending: { kind: "described", text: DESCRIPTION },
    },
    blocks: [{ name: "pc.ram", length: memory.length }],
    memory: [memory],
  };
}

const DESCRIPTION = JSON.stringify({
  page_size: PAGE_SIZE,
  devices: [{ name: "timer", instance_id: 0, size: 3, fields: [{ name: "data", size: 3, type: "buffer" }] }],
});

async function start(
  machineType: string,
  options: MultifdReceiverOptions,
  pages = PAGES,
): Promise<{ readonly source: CarriedSource; readonly receiver: MultifdReceiver }> {
  const source = new CarriedSource(parts(machineType, pages));
  source.machine.arrive();
  source.migration.setCapabilities({ multifd: true, "return-path": options.shut !== undefined });
  source.migration.setParameters({ "multifd-channels": options.channels });
  const receiver = await MultifdReceiver.listen(options);
  source.migration.migrate(receiver.uri);
  return { source, receiver };
}

describe("a migration over several connections", () => {
  test.each([
    ["pc-i440fx-7.2", { channels: 3, mode: "section" }],
    ["pc-i440fx-7.2", { channels: 1, mode: "section", shut: 0 }],
    ["pc-q35-10.0", { channels: 2, mode: "record" }],
    ["pc-q35-10.0", { channels: 4, mode: "record", shut: 0 }],
  ] as const)("brings everything, machine type %s, %o", async (machineType, options) => {
    const { source, receiver } = await start(machineType, options);
    await using _source = source;
    await using _receiver = receiver;
    const ended = source.ended();
    await receiver.complete;
    expect([await ended, source.migration.error?.message]).toEqual(["completed", undefined]);
    const opened = receiver.inits.map(({ channel }) => channel).toSorted((a, b) => a - b);
    expect(opened).toEqual(receiver.inits.map((_, index) => index));
    expect(receiver.inits.map(({ uuid }) => uuid)).toEqual(receiver.inits.map(() => UUID));
    const original = new Uint8Array(PAGES * PAGE_SIZE);
    source.machine.memory.readPages(0, 0, PAGES, original, 0);
    expect(Buffer.compare(original, receiver.ram[0]!)).toBe(0);
    const { ram } = source.migration.query() as { ram: Record<string, number> };
    expect(ram).toMatchObject({ normal: 1600, duplicate: 400 });
    expect(ram["multifd-bytes"]).toBeGreaterThan(1600 * PAGE_SIZE);
    expect(ram["transferred"]).toBeGreaterThan(ram["multifd-bytes"]!);
  });

  test("fails with what the destination says, and not with what breaks in consequence", async () => {
    const { source, receiver } = await start("pc-q35-10.0", { channels: 2, mode: "record", shut: 1 });
    await using _source = source;
    await using _receiver = receiver;
    expect(await source.ended()).toBe("failed");
    expect(source.migration.error?.message).toContain("could not load the guest (status 1)");
  });

  test("fails when one of the connections breaks", async () => {
    const gate = Promise.withResolvers<void>();
    const { source, receiver } = await start("pc-q35-10.0", {
      channels: 2,
      mode: "record",
      shut: 0,
      mayRead: () => gate.promise,
    });
    await using _source = source;
    await using _receiver = receiver;
    const ended = source.ended();
    await receiver.accepted;
    receiver.connections[1]!.destroy();
    gate.resolve();
    expect(await ended).toBe("failed");
    expect(source.migration.error).toMatchObject({ code: "CHANNEL_FAILED" });
    expect(source.migration.error?.message).toContain("of the 2 for multifd: ");
    expect(source.migration.ownership).toBe("owner");
  });

  test("fails when a connection breaks while the destination is waited for", async () => {
    // So little that the kernels have all of it, and more than the receiver takes from them: its end is a reset.
    const pages = 200;
    const options = {
      channels: 1,
      mode: "record",
      shut: 0,
      mayRead: (connection: number) => (connection === 1 ? new Promise<void>(() => {}) : Promise.resolve()),
    } as const;
    const { source, receiver } = await start("pc-q35-10.0", options, pages);
    await using _source = source;
    await using _receiver = receiver;
    const ended = source.ended();
    await receiver.accepted;
    // One that breaks too early is noticed when it is sent to, and shows nothing.
    const { statistics } = source.migration;
    for (let last = -1; source.machine.pagesSent < pages || last !== statistics.transferred;) {
      last = statistics.transferred;
      await delay(50);
    }
    receiver.connections[1]!.destroy();
    expect(await ended).toBe("failed");
    expect(source.migration.error).toMatchObject({ code: "CHANNEL_FAILED" });
    expect(source.migration.error?.message).toContain("of the 1 for multifd: ");
  });

  test("can be cancelled while nothing moves", async () => {
    const { source, receiver } = await start("pc-q35-10.0", {
      channels: 2,
      mode: "record",
      shut: 0,
      mayRead: () => new Promise(() => {}),
    });
    await using _source = source;
    await using _receiver = receiver;
    const ended = source.ended();
    await receiver.accepted;
    source.migration.cancel();
    expect(await ended).toBe("cancelled");
  });
});
