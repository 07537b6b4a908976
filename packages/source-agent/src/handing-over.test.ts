import { ALL_EXTENSIONS } from "@peregrine/protocol";
import type { OwnershipLedger, OwnershipRecord } from "@peregrine/shared-state";
import { describe, expect, test } from "vitest";
import { Source } from "./testing/source.ts";
import type { SourceOptions } from "./testing/source.ts";
import type { ReceiverBehaviour } from "./testing/test-receiver.ts";

/** What is known of the guest on the disk. */
class Ledger implements OwnershipLedger {
  readonly records: OwnershipRecord[] = [];
  /** What is done before something is written. */
  before: (record: OwnershipRecord) => Promise<void> = async () => {};
  /** What the disk has no room for; `start`: to make sure that there is a record at all. */
  broken: readonly (OwnershipRecord["ownership"] | "start")[] = [];

  async write(record: OwnershipRecord): Promise<void> {
    const what = record.migration === undefined ? "start" : record.ownership;
    await this.before(record);
    if (this.broken.includes(what)) throw new Error("the disk is full");
    this.records.push(record);
  }

  /** What was decided about migrations. */
  get ownerships(): string[] {
    return this.decisions.map(({ ownership }) => ownership);
  }

  get decisions(): OwnershipRecord[] {
    return this.records.filter(({ migration }) => migration !== undefined);
  }
}

const AGREED = { extensions: { ...ALL_EXTENSIONS, alive: false } };

/**
 * Of a source that waits in vain. The answers in front of that have the same limit, and a busy machine may stand still for a
 * while.
 */
const IMPATIENT = { confirm: 3000 };

async function sent(
  behaviour: Omit<ReceiverBehaviour, "devices">,
  broken: Ledger["broken"] = [],
  timeouts: NonNullable<SourceOptions["timeouts"]> = {},
) {
  const ledger = new Ledger();
  const source = await Source.make({ ledger, timeouts });
  const receiver = await source.receiver({ ...AGREED, ...behaviour });
  ledger.broken = broken;
  source.migration.migrate(receiver.uri);
  const status = await source.ended();
  return { source, receiver, ledger, status, error: source.migration.error };
}

describe("a source that hands its guest over", () => {
  test("decides when the destination has loaded everything, records it, and tells it", async () => {
    const { source, receiver, ledger, status } = await sent({});
    await using _ = source;
    expect(status).toBe("completed");
    expect(receiver.items.slice(-2)).toEqual(["vmdescription", "give"]);
    expect(receiver.items).toContain("offer");
    expect(ledger.ownerships).toEqual(["given", "gone"]);
    expect(ledger.decisions[0]).toMatchObject({
      migration: expect.stringMatching(/^[0-9a-f]{32}$/u),
      peer: receiver.uri,
    });
    expect([source.migration.ownership, source.run.state]).toEqual(["not-owner", "postmigrate"]);
  });

  test("goes on with it when the destination refuses what it was given", async () => {
    const { source, ledger, status, error } = await sent({ given: "refuse" });
    await using _ = source;
    expect([status, error?.code]).toEqual(["failed", "PEER_REFUSED"]);
    expect(ledger.ownerships).toEqual(["given", "owner"]);
    await source.expectUntouched();
    await source.expectMigrates();
  });

  test("goes on with it when the destination is gone before the decision", async () => {
    const { source, ledger, status } = await sent({ shut: "close" });
    await using _ = source;
    expect([status, ledger.ownerships]).toEqual(["failed", ["owner"]]);
    await source.expectUntouched();
  });

  test("says that it keeps it to a destination that can only hear", async () => {
    const { source, receiver, ledger, status } = await sent({ shut: "half-close" });
    await using _ = source;
    expect([status, ledger.ownerships]).toEqual(["failed", ["owner"]]);
    await receiver.over;
    expect(receiver.items.at(-1)).toBe("keep");
    await source.expectUntouched();
    await source.expectMigrates();
  });

  test("goes on with it when the connection ends while the decision is recorded, which nobody has heard", async () => {
    const ledger = new Ledger();
    await using source = await Source.make({ ledger });
    const receiver = await source.receiver({ ...AGREED, silentOnceLoaded: true });
    ledger.before = async ({ ownership }) => {
      // Behind that, the migration's thread can tell nothing any more.
      if (ownership === "given") await receiver.over;
    };
    source.migration.migrate(receiver.uri);
    expect([await source.ended(), source.migration.error?.code]).toEqual(["failed", "CHANNEL_FAILED"]);
    expect(ledger.ownerships).toEqual(["given", "owner"]);
    expect(receiver.items.at(-1)).toBe("vmdescription");
    await source.expectUntouched();
    await source.expectMigrates();
  });

  test("keeps it when the decision cannot be recorded", async () => {
    const { source, receiver, status, error } = await sent({}, ["given"]);
    await using _ = source;
    expect([status, error?.code, error?.message]).toEqual(["failed", "STORE_FAILED", "the disk is full"]);
    await receiver.over;
    expect(receiver.items.at(-1)).toBe("keep");
    await source.expectUntouched();
  });

  test("sends nothing where no decision could be recorded, and the guest runs on", async () => {
    const { source, receiver, status, error, ledger } = await sent({}, ["start", "given", "owner"]);
    await using _ = source;
    expect([status, error?.code, error?.message]).toEqual([
      "failed",
      "STORE_FAILED",
      "The guest stays here, because it could not be recorded who gets it: the disk is full",
    ]);
    await receiver.over;
    expect(receiver.items).toEqual([]);
    await source.expectUntouched();
    ledger.broken = [];
    await source.expectMigrates();
  });

  test("says that its record is not to be trusted when it takes the guest back without one, and records it later", async () => {
    const { source, status, error, ledger } = await sent({ given: "refuse" }, ["owner"]);
    await using _ = source;
    expect([status, error?.code]).toEqual(["failed", "PEER_REFUSED"]);
    expect(error?.message).toMatch(
      /; the guest has stayed here, and that could not be recorded, so do not trust the record of it$/u,
    );
    await source.expectUntouched();
    expect(ledger.ownerships).toEqual(["given"]);
    ledger.broken = [];
    await expect.poll(() => ledger.ownerships, { timeout: 10_000 }).toEqual(["given", "owner"]);
  });

  test("gives it up on an operator's word", async () => {
    const { source, ledger } = await sent({ given: "close" });
    await using _ = source;
    await source.migration.resolve("gone");
    expect([source.migration.ownership, source.run.state]).toEqual(["not-owner", "postmigrate"]);
    expect(ledger.ownerships).toEqual(["given", "gone"]);
    await expect(source.run.cont()).rejects.toMatchObject({ code: "WRONG_STATE" });
  });

  test("keeps it when it is cancelled before the destination has loaded it", async () => {
    await using source = await Source.make();
    const receiver = await source.receiver({
      ...AGREED,
      shut: "nothing",
      onItem: (item) => {
        if (item === "vmdescription") source.migration.cancel();
      },
    });
    source.migration.migrate(receiver.uri);
    expect(await source.ended()).toBe("cancelled");
    await receiver.over;
    expect(receiver.items.at(-1)).toBe("keep");
    await source.expectUntouched();
    await source.expectMigrates();
  });

  test("does without where the destination has not agreed", async () => {
    const { source, receiver, ledger, status } = await sent({
      extensions: { ...ALL_EXTENSIONS, handOver: false },
    });
    await using _ = source;
    expect([status, ledger.ownerships]).toEqual(["completed", ["gone"]]);
    expect(receiver.items).not.toContain("offer");
  });
});

// They wait at the same time.
describe.concurrent("a source that is not answered", () => {
  test("goes on with its guest when the destination does not load it in time, and says so", async () => {
    const { source, receiver, status, error } = await sent({ shut: "nothing" }, [], IMPATIENT);
    await using _ = source;
    expect([status, error?.code]).toEqual(["failed", "PEER_REFUSED"]);
    await receiver.over;
    expect(receiver.items.at(-1)).toBe("keep");
    await source.expectUntouched();
  });

  test.for(["close", "say nothing"] as const)(
    "holds its guest, stopped, when the destination that was given it does this: %s",
    async (given) => {
      const { source, ledger, status, error } = await sent({ given }, [], IMPATIENT);
      await using _ = source;
      expect([status, error?.code, ledger.ownerships]).toEqual(["failed", "UNDECIDED", ["given"]]);
      expect([source.migration.ownership, source.run.state]).toEqual(["undecided", "finish-migrate"]);
      await expect(source.run.cont()).rejects.toMatchObject({ code: "UNDECIDED" });
      expect(() => source.migration.migrate("tcp:127.0.0.1:1")).toThrow("peregrine resolve");

      await source.migration.resolve("owner");
      expect([source.migration.ownership, ledger.ownerships]).toEqual(["owner", ["given", "owner"]]);
      await source.expectUntouched();
      await expect(source.migration.resolve("gone")).rejects.toMatchObject({ code: "WRONG_STATE" });
      await source.expectMigrates();
    },
  );
});

describe("a destination", () => {
  test("that falls silent although it has promised not to is given up", async () => {
    await using source = await Source.make({ timeouts: { silence: 300 } });
    const receiver = await source.receiver({ extensions: ALL_EXTENSIONS, prepared: new Promise(() => {}) });
    source.migration.migrate(receiver.uri);
    expect([await source.ended(), source.migration.error?.code]).toEqual(["failed", "PEER_SILENT"]);
    await source.expectUntouched();
  });

  test("that falls silent before it has said what it agrees to is given up", async () => {
    await using source = await Source.make({ timeouts: { silence: 300 } });
    const receiver = await source.receiver({ extensions: "no answer", prepared: new Promise(() => {}) });
    source.migration.migrate(receiver.uri);
    expect([await source.ended(), source.migration.error?.code]).toEqual(["failed", "PEER_SILENT"]);
    await source.expectUntouched();
  });

  test("hears that the source lives also when the guest was stopped in the middle of a pass", async () => {
    const pages = 32 << 10;
    await using source = await Source.make({
      timeouts: { silence: 0 },
      blocks: [{ name: "test.ram", pages, used: pages }],
    });
    source.migration.setCapabilities({ "pause-before-switchover": true });
    const alive = Promise.withResolvers<void>();
    let isPaused = false;
    let count = 0;
    const receiver = await source.receiver({
      extensions: ALL_EXTENSIONS,
      onItem: (item) => {
        if (item === "page" && ++count === 2000) source.migration.switchOverNow();
        if (item === "alive" && isPaused) alive.resolve();
      },
    });
    source.migration.migrate(receiver.uri);
    await source.reaches("pre-switchover");
    isPaused = true;
    await alive.promise;
    source.migration.continueMigration("pre-switchover");
    expect(await source.ended()).toBe("completed");
  });

  test("hears that the source lives while nothing else is said", async () => {
    await using source = await Source.make({ timeouts: { silence: 0 } });
    source.migration.setCapabilities({ "pause-before-switchover": true });
    const alive = Promise.withResolvers<void>();
    const receiver = await source.receiver({
      extensions: ALL_EXTENSIONS,
      onItem: (item) => {
        if (item === "alive") alive.resolve();
      },
    });
    source.migration.migrate(receiver.uri);
    await source.reaches("pre-switchover");
    await alive.promise;
    source.migration.continueMigration("pre-switchover");
    expect(await source.ended()).toBe("completed");
  });
});
