import { countPages } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { RamAccess } from "@peregrine/shared-state";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RamSender } from "./ram-sender.ts";
import { copiedAccess } from "./testing/copied-ram.ts";
import { MultifdLink } from "./testing/multifd-link.ts";

const SECTIONS = "pc-i440fx-7.2";
const RECORDS = "pc-i440fx-10.0";
const UUID = Uint8Array.from({ length: 16 }, (_, index) => index + 1);

describe.each([
  ["none", RECORDS, "in place"],
  ["none", RECORDS, "copied"],
  ["zlib", RECORDS, "copied"],
  ["zstd", RECORDS, "copied"],
  ["none", SECTIONS, "in place"],
  ["zlib", SECTIONS, "copied"],
  ["zstd", SECTIONS, "copied"],
] as const)(
  "pages over connections of their own, compression %s, machine type %s, %s",
  (compression, machineType, how) => {
    const access = how === "copied" ? copiedAccess : (own: RamAccess): RamAccess => own;

    test("every page in use arrives once, zero pages on the main stream", async () => {
      const { link, sender } = await MultifdLink.make({
        compression,
        machineType,
        channels: 3,
        uuid: UUID,
        access,
      });
      await using _ = link;
      await sender.start();
      while (!(await sender.iterate()));
      await sender.complete();
      await link.finish();
      link.expectSame();
      const { receiver, statistics } = link;
      await receiver.channelsEnded;
      const inits = receiver.inits.toSorted((a, b) => a.channel - b.channel);
      expect(inits).toEqual([0, 1, 2].map((channel) => ({ uuid: UUID, channel })));
      // Every fourth page of the test guest is zero.
      expect(receiver.items.filter((item) => item === "zero")).toHaveLength(47);
      expect(statistics).toMatchObject({ normal: 143, duplicate: 47 });
      const used = receiver.packets.flat().filter(({ runs }) => runs.length > 0);
      expect(used.map((packet) => packet.compression)).toEqual(used.map(() => compression));
      expect(used.map(({ zeroRuns }) => zeroRuns)).toEqual(used.map(() => []));
    });

    test("whatever the guest writes between the turns, memory is the same at the end", async () => {
      const write = fc.record({
        block: fc.constantFrom(0, 1),
        page: fc.integer({ min: 0, max: 39 }),
        value: fc.constantFrom(0, 1, 255),
      });
      const turn = fc.record({
        writes: fc.array(write, { maxLength: 20 }),
        grow: fc.integer({ min: 0, max: 12 }),
        maxSize: fc.integer({ min: 0, max: 100 * PAGE_SIZE }),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(turn, { maxLength: 8 }),
          fc.integer({ min: 1, max: 3 }),
          fc.constantFrom(0, 400_000),
          async (turns, channels, limit) => {
            const { link, sender } = await MultifdLink.make({
              compression,
              machineType,
              channels,
              limit,
              access,
            });
            await using _ = link;
            await sender.start();
            for (const { writes, grow, maxSize } of turns) {
              for (const { block, page, value } of writes) {
                // A page with a single byte becomes zero with it.
                for (let at = 0; at < 12; at++) link.ram.store(block, page * PAGE_SIZE + at, value);
              }
              link.ram.use(0, link.ram.usedPages(0) + grow);
              link.pass(30);
              sender.pending(maxSize);
              await sender.iterate();
            }
            await sender.complete();
            await link.finish();
            link.expectSame();
            expect(sender.remaining).toBe(0);
            const numbers = link.receiver.packets.map((packets) =>
              packets.map(({ packetNumber }) => packetNumber),
            );
            for (const ofChannel of numbers) expect(ofChannel).toEqual(ofChannel.toSorted((a, b) => a - b));
            const all = numbers.flat().toSorted((a, b) => a - b);
            expect(all).toEqual(all.map((_number, index) => index));
          },
        ),
        // Each starts threads.
        { numRuns: 4 },
      );
    });
  },
);

describe("syncs", () => {
  test("of newer machine types are at records: with START, in front of pages that may come again, with END", async () => {
    const { link, sender } = await MultifdLink.make({ machineType: RECORDS });
    await using _ = link;
    await sender.start();
    await sender.iterate();
    await sender.iterate();
    link.ram.store(0, 0, 1);
    sender.pending(PAGE_SIZE);
    await sender.iterate();
    await sender.complete();
    await link.finish();
    const items = link.receiver.items.filter((item) => item !== "zero");
    expect(items).toEqual(["flush", "start", "part", "part", "flush", "part", "flush", "end"]);
    for (const packets of link.receiver.packets) {
      expect(packets.filter(({ sync }) => sync)).toHaveLength(3);
      expect(packets.at(-1)?.sync).toBe(true);
    }
  });

  test("of older machine types are at the ends of the sections", async () => {
    const { link, sender } = await MultifdLink.make({ machineType: SECTIONS });
    await using _ = link;
    await sender.start();
    await sender.iterate();
    await sender.iterate();
    await sender.complete();
    await link.finish();
    const items = link.receiver.items.filter((item) => item !== "zero");
    expect(items).toEqual(["start", "part", "part", "end"]);
    for (const packets of link.receiver.packets) {
      expect(packets.filter(({ sync }) => sync)).toHaveLength(4);
      expect(packets[0]?.sync).toBe(true);
      expect(packets.at(-1)?.sync).toBe(true);
    }
  });

  test("separate a page from the same one sent before, also when it has become zero", async () => {
    const { link, sender } = await MultifdLink.make({ machineType: RECORDS });
    await using _ = link;
    await sender.start();
    await sender.iterate();
    for (const value of [0, 7]) {
      for (let page = 0; page < 40; page++) {
        for (let at = 0; at < 12; at++) link.ram.store(1, page * PAGE_SIZE + at, value);
      }
      sender.pending(40 * PAGE_SIZE);
      await sender.iterate();
    }
    await sender.complete();
    // The receiver refuses a page that comes twice between two syncs.
    await link.finish();
    link.expectSame();
  });
});

describe("packets", () => {
  test("have up to 128 pages of one block, and go to all connections", async () => {
    const { link, sender } = await MultifdLink.make({
      machineType: RECORDS,
      channels: 2,
      pages: [2000, 300],
    });
    await using _ = link;
    for (let page = 0; page < 1000; page++) link.ram.store(0, page * PAGE_SIZE + 4000, 1);
    await sender.start();
    // Everything is dirty already, so that nothing of it is sent twice.
    sender.pending(Infinity);
    await sendAll(sender);
    await link.finish();
    link.expectSame();
    const used = link.receiver.packets.map((packets) => packets.filter(({ runs }) => runs.length > 0));
    for (const ofChannel of used) expect(ofChannel.length).toBeGreaterThan(1);
    // A thousand pages of one block, and of the other those of 300 that are not zero: three quarters.
    const sizes = used.flat().map(({ block, runs }) => `${block} ${countPages(runs)}`);
    expect(sizes.toSorted()).toEqual(
      [...Array<string>(7).fill("a 128"), "a 104", "b 128", "b 97"].toSorted(),
    );
  });

  test("are smaller under a limit, and all that is sent counts against it", async () => {
    // A hundredth of a second's bytes are ten pages.
    const { link, sender } = await MultifdLink.make({ machineType: RECORDS, limit: 4_100_000 });
    await using _ = link;
    await sender.start();
    link.pass(10);
    const { transferred } = link.statistics;
    expect(await sender.iterate()).toBe(false);
    const sent = link.statistics.transferred - transferred;
    expect(sent).toBeGreaterThan(10 * PAGE_SIZE);
    expect(sent).toBeLessThan(25 * PAGE_SIZE);
    while (!(await sender.iterate())) link.pass(10);
    await sender.complete();
    await link.finish();
    link.expectSame();
    // Of ten pages every fourth is zero, so two or three are not in the packet.
    const most = Math.max(...link.receiver.packets.flat().map(({ runs }) => countPages(runs)));
    expect(most).toBe(8);
    const { multifdBytes, transferred: all } = link.statistics;
    expect(multifdBytes).toBe(link.receiver.channelBytes);
    expect(all).toBe(multifdBytes + link.mainBytes);
  });
});

test.each(["none", "zlib", "zstd"] as const)(
  "no second has more than 5 % above the limit, whatever pages become, compression %s",
  async (compression) => {
    const limit = 8_000_000;
    const { link, sender } = await MultifdLink.make({
      machineType: RECORDS,
      compression,
      limit,
      channels: 3,
      pages: [8000, 4],
    });
    await using _ = link;
    // The first pages compress well, and then come some that do not at all.
    const noise = Buffer.alloc(PAGE_SIZE);
    for (let page = 1000; page < 4000; page++) {
      for (let at = 0; at < PAGE_SIZE; at += 4) noise.writeUInt32LE(mixed(page * PAGE_SIZE + at), at);
      link.ram.writePages(0, page * PAGE_SIZE, noise);
    }
    await sender.start();
    const sent: number[] = [];
    for (let done = false; !done;) {
      link.pass(5);
      const before = link.statistics.transferred;
      done = await sender.iterate();
      sent.push(link.statistics.transferred - before);
    }
    let busiest = 0;
    for (let end = 1; end <= sent.length; end++) {
      const second = sent.slice(Math.max(end - 200, 0), end).reduce((sum, bytes) => sum + bytes, 0);
      busiest = Math.max(busiest, second);
    }
    expect(busiest).toBeLessThan(limit * 1.05);
    // It is the limit that holds it back.
    expect(busiest).toBeGreaterThan(limit * 0.9);
    await sender.complete();
    await link.finish();
    link.expectSame();
  },
);

/** A number that looks random. */
function mixed(seed: number): number {
  let value = Math.imul(seed ^ (seed >>> 16), 0x45d9_f3b) ^ 0x1234_5678;
  value = Math.imul(value ^ (value >>> 15), 0x2c1b_3c6d);
  return (value ^ (value >>> 13)) >>> 0;
}

async function sendAll(sender: RamSender): Promise<void> {
  while (!(await sender.iterate()));
  await sender.complete();
}
