import { MigrationError } from "@peregrine/protocol";
import type { MultifdPages } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { RamAccess } from "@peregrine/shared-state";
import { describe, expect, test } from "vitest";
import type { RamSender } from "./ram-sender.ts";
import { crashingAccess } from "./testing/crashing-ram.ts";
import { MultifdLink } from "./testing/multifd-link.ts";

const RECORDS = "pc-i440fx-10.0";

describe("the thread of a connection that", () => {
  test.each([
    ["exit", "The thread of a multifd connection failed: it ended with exit code 3"],
    ["throw", "The thread of a multifd connection failed: the memory is gone"],
  ] as const)("crashes (%s) fails what is sent next, and the others end", async (crash, text) => {
    const access = (plain: RamAccess): RamAccess => crashingAccess(plain, crash);
    const { link, sender } = await MultifdLink.make({ machineType: RECORDS, access });
    await using _ = link;
    await sender.start();
    const error = await failure(sendAll(sender));
    expect(error).toMatchObject({ code: "INTERNAL", message: text });
    await link.close();
  });

  test("cannot open the memory fails the start", async () => {
    const access = (plain: RamAccess): RamAccess => crashingAccess(plain, "open");
    const error = await failure(MultifdLink.make({ machineType: RECORDS, access }));
    expect(error.message).toBe("no such memory");
  });
});

describe("a connection", () => {
  test("that breaks fails what is sent next", async () => {
    const { link, sender } = await MultifdLink.make({ machineType: RECORDS, channels: 3, pages: [4000, 40] });
    await using _ = link;
    await sender.start();
    await link.receiver.accepted;
    link.receiver.connections[2]!.destroy();
    const error = await failure(sendAll(sender));
    expect(error.code).toBe("CHANNEL_FAILED");
    expect(error.message).toMatch(
      / \(connection \d of the 3 for multifd: the destination has to have multifd switched on, with as many channels\)$/u,
    );
    await link.close();
  });

  test("that takes nothing holds the sender back, and what is held is bounded", async () => {
    const gate = Promise.withResolvers<void>();
    const mayRead = (connection: number): Promise<void> =>
      connection === 1 ? gate.promise : Promise.resolve();
    // More than any kernel keeps for two connections.
    const pages = 16_384;
    const { link, sender } = await MultifdLink.make({ machineType: RECORDS, pages: [2 * pages, 4], mayRead });
    await using _ = link;
    for (let page = 0; page < pages; page++) link.ram.store(0, page * PAGE_SIZE + 4000, 1);
    await sender.start();
    const sending = sendAll(sender);
    await untilStill(() => link.statistics.multifdBytes);
    // The other connection has taken what it got. Behind the sync with START nothing is read from the first one.
    expect(link.heldBytes).toBeLessThan(2 * 2 * 4 * 128 * PAGE_SIZE);
    expect(sender.remaining).toBeGreaterThan(0);
    gate.resolve();
    await sending;
    await link.finish();
    link.expectSame();
  });

  test("that is slow does not hold back the others before the next sync", async () => {
    const gate = Promise.withResolvers<void>();
    // Its first packet of pages is behind the sync with START, which the others wait for.
    const mayRead = async (connection: number, packets: number): Promise<void> => {
      if (connection === 1 && packets > 0) await gate.promise;
    };
    const pages = 16_384;
    const { link, sender } = await MultifdLink.make({
      machineType: RECORDS,
      pages: [2 * pages, 4],
      mayRead,
    });
    await using _ = link;
    for (let page = 0; page < pages; page++) link.ram.store(0, page * PAGE_SIZE + 4000, 1);
    await sender.start();
    await sender.iterate();
    // All of it is on its way. The kernel keeps some of the slow connection's packets, and the rest is there.
    await until(() => bytesOf(link.receiver.packets[1]!) > (pages * PAGE_SIZE) / 2);
    gate.resolve();
    await sender.complete();
    await link.finish();
    link.expectSame();
  });

  test("that cannot be made fails the migration, and closes the others", async () => {
    const error = await failure(
      MultifdLink.make({ machineType: RECORDS, channelsRefused: true, channels: 3 }),
    );
    expect(error.code).toBe("CONNECT_FAILED");
    expect(error.message).toMatch(
      /^Failed to connect to '.+': Connection refused \(connection \d of the 3 for multifd: the destination has to have/u,
    );
  });

  test("is dropped when the migration is given up", async () => {
    const gate = Promise.withResolvers<void>();
    const { link, sender } = await MultifdLink.make({
      machineType: RECORDS,
      pages: [32_768, 4],
      mayRead: () => gate.promise,
    });
    await using _ = link;
    for (let page = 0; page < 16_384; page++) link.ram.store(0, page * PAGE_SIZE + 4000, 1);
    await sender.start();
    const sending = failure(sendAll(sender));
    await untilStill(() => link.statistics.multifdBytes);
    const reason = new MigrationError("CANCELLED", "enough");
    link.abort.abort(reason);
    expect(await sending).toBe(reason);
    await link.close();
    gate.resolve();
  });
});

function bytesOf(packets: readonly MultifdPages[]): number {
  return packets.reduce((sum, { payloadBytes }) => sum + payloadBytes, 0);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

async function sendAll(sender: RamSender): Promise<void> {
  while (!(await sender.iterate()));
  await sender.complete();
}

async function failure(promise: Promise<unknown>): Promise<MigrationError> {
  const outcome: unknown = await promise.then(
    () => new Error("it did not fail"),
    (error: unknown) => error,
  );
  if (!MigrationError.is(outcome)) throw outcome;
  return outcome;
}

/** Waits until a counter has stopped. One that stops too early only makes the bounds harder to miss. */
async function untilStill(counter: () => number): Promise<void> {
  for (let last = -1; last !== counter();) {
    last = counter();
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
}
