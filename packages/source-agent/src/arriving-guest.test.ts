import { PAGE_SIZE } from "@peregrine/shared-state";
import { describe, expect, test } from "vitest";
import type { CarriedParts } from "./testing/carried-machine.ts";
import { CarriedReceiver, CarriedSource } from "./testing/carried-source.ts";

const PAGES = 300;

function parts(): CarriedParts {
  return {
    opening: { configuration: { machineType: "pc-test" }, footers: true, early: [], uuid: undefined },
    closing: {
      late: [{ name: "cpu", instance: 0, version: 1, payload: Uint8Array.of(1, 2, 3) }],
      ending: { kind: "end-mark" },
    },
    blocks: [{ name: "pc.ram", length: PAGES * PAGE_SIZE }],
    memory: [new Uint8Array(PAGES * PAGE_SIZE).fill(3)],
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
}

/** A guest on its way through, with nothing written that was not sent on. */
async function passing(): Promise<AsyncDisposable & { source: CarriedSource; receiver: CarriedReceiver }> {
  const source = new CarriedSource(parts());
  const receiver = await CarriedReceiver.listen({ footers: true, described: false });
  source.migration.setCapabilities({ "return-path": false });
  source.migration.migrate(receiver.uri);
  await until(() => source.machine.pagesSent === PAGES);
  return {
    source,
    receiver,
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await receiver[Symbol.asyncDispose]();
    },
  };
}

describe("a guest that is still arriving", () => {
  test("is sent on page by page, and handed over only when all of it is here", async () => {
    await using way = await passing();
    const { source, receiver } = way;
    const { memory, carried } = source.machine;
    carried.closing = () => {
      throw new Error("it was to be handed over too early");
    };
    // A single page is far below any threshold. It goes on its way all the same, again and again.
    for (let n = 1; n <= 20; n++) {
      memory.store(0, n * PAGE_SIZE, n);
      await until(() => source.machine.pagesSent === PAGES + n);
    }
    expect([source.migration.status, source.run.state]).toEqual(["active", "inmigrate"]);
    expect(receiver.reader.ended).toBe(false);

    memory.store(0, 5 * PAGE_SIZE, 99);
    carried.closing = () => parts().closing;
    const ended = source.ended();
    source.machine.arrive();
    expect(await ended).toBe("completed");
    const received = await receiver.parts;
    const expected = Buffer.alloc(PAGES * PAGE_SIZE, 3);
    for (let n = 1; n <= 20; n++) expected[n * PAGE_SIZE] = n === 5 ? 99 : n;
    expect(expected.equals(received!.memory[0]!)).toBe(true);
    // Nobody has confirmed it, so it stays to be sent again.
    expect([source.run.state, source.migration.ownership]).toEqual(["inmigrate", "undecided"]);
  });

  test("is not sent on any more when that is cancelled, and arrives here", async () => {
    await using way = await passing();
    const { source } = way;
    const ended = source.ended();
    source.migration.cancel();
    expect(await ended).toBe("cancelled");
    expect([source.run.state, source.migration.ownership]).toEqual(["inmigrate", "owner"]);
    await source.run.arrive();
    expect(source.run.state).toBe("paused");
  });

  test("stays when its destination breaks off", async () => {
    await using source = new CarriedSource(parts());
    await using receiver = await CarriedReceiver.listen({ footers: true, dropAt: 100_000 });
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("failed");
    expect(source.run.state).toBe("inmigrate");
    // The same once more, and all of it although it was sent in part before.
    await using second = await CarriedReceiver.listen({ footers: true, described: false });
    source.migration.setCapabilities({ "return-path": false });
    source.machine.arrive();
    const ended = source.ended();
    source.migration.migrate(second.uri);
    expect(await ended).toBe("completed");
    expect(Buffer.alloc(PAGES * PAGE_SIZE, 3).equals((await second.parts)!.memory[0]!)).toBe(true);
  });
});
