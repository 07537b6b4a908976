/** Section 1 of the description of the behaviour, row by row. */
import { MigrationParameters } from "@peregrine/shared-state";
import type { MigrationState, MigrationStatus } from "@peregrine/shared-state";
import { describe, expect, test } from "vitest";
import { Source } from "./testing/source.ts";
import type { TestReceiver } from "./testing/test-receiver.ts";

const MiB = 1 << 20;
/** Nobody listens there. */
const NOWHERE = "unix:/nowhere/peregrine.sock";
const NEVER = new Promise<void>(() => {});

describe("at first there is a migration with", () => {
  test.each([
    ["state none", ({ migration }: Source) => migration.status, "none"],
    ["nothing to tell", ({ migration }: Source) => migration.query(), {}],
    [
      "a limit of 32 MiB/s",
      ({ migration }: Source) => migration.queryParameters()["max-bandwidth"],
      33_554_432,
    ],
    [
      "a delta cache of 64 MiB",
      ({ migration }: Source) => migration.queryParameters()["xbzrle-cache-size"],
      64 * MiB,
    ],
    [
      "a tolerated downtime of 30 ms",
      ({ migration }: Source) => migration.queryParameters()["downtime-limit"],
      30,
    ],
    ["30 000 000 ns of it", () => new MigrationParameters().downtimeLimitNs, 30_000_000],
    ["an mbps of -1", ({ migration }: Source) => migration.statistics.mbps, -1],
    [
      // Ours is different: without the return path nobody knows whether the destination has loaded the guest.
      "all capabilities off but the return path",
      ({ migration }: Source) =>
        Object.entries(migration.queryCapabilities()).flatMap(([name, on]) => (on ? [name] : [])),
      ["return-path"],
    ],
  ])("%s", async (_, look, value) => {
    await using source = await Source.make({ running: false, limited: true });
    expect(look(source)).toEqual(value);
  });
});

/** Brings a source into a state that it stays in. */
const INTO: Readonly<Record<string, (source: Source) => Promise<unknown>>> = {
  none: async () => {},
  failed: async (source) => {
    source.migration.migrate(NOWHERE);
    await source.ended();
  },
  cancelled: async (source) => {
    source.migration.migrate(NOWHERE);
    source.migration.cancel();
    await source.ended();
  },
  completed: async (source) => {
    source.migration.setCapabilities({ "return-path": false });
    await source.expectMigrates();
    await source.run.cont();
    source.migration.setCapabilities({ "return-path": true });
  },
};

/** Runs `migrate` until it is active, and holds it there. */
async function holdActive(source: Source): Promise<TestReceiver> {
  const receiver = await source.receiver({ prepared: NEVER, shut: "nothing" });
  source.migration.migrate(receiver.uri);
  await source.reaches("active");
  return receiver;
}

describe("a change of state:", () => {
  test.each(["none", "failed", "cancelled", "completed"])(
    "%s -> setup, when migrate is accepted; none by migrate_cancel, which is no error",
    async (from) => {
      await using source = await Source.make();
      await INTO[from]!(source);
      const before = source.statuses.length;
      source.migration.cancel();
      expect([source.migration.status, source.statuses.length, source.run.state]).toEqual([
        from,
        before,
        "running",
      ]);
      source.migration.migrate(NOWHERE);
      expect(source.statuses.slice(before)).toEqual(["setup"]);
      // All is reset but what belongs to every migration.
      expect(source.migration.error).toBeUndefined();
      expect(source.migration.statistics).toMatchObject({ mbps: 0, transferred: 0, downtime: 0 });
      expect(source.migration.statistics.startTime).toBeGreaterThan(0);
    },
  );

  test("setup -> active, when the setup stage of each handler has been sent", async () => {
    await using source = await Source.make();
    const sent: number[] = [];
    source.migration.subscribe((event) => {
      if (event.kind === "migration" && event.status === "active") {
        sent.push(source.migration.statistics.transferred);
      }
    });
    await using receiver = await holdActive(source);
    while (!receiver.items.includes("ram part")) await source.progress();
    const stage = receiver.items.indexOf("ram start");
    expect(receiver.items.slice(0, stage)).not.toContain("ram part");
    expect(sent[0]).toBeGreaterThan(0);
  });

  test.each(["setup", "active"] as const)("%s -> cancelling, by migrate_cancel", async (from) => {
    await using source = await Source.make();
    await using receiver = await source.receiver({ prepared: NEVER });
    source.migration.migrate(receiver.uri);
    await source.reaches(from);
    source.migration.cancel();
    expect(source.migration.status).toBe("cancelling");
    // The clients of 2.0 do not know this state.
    const { status } = source.migration.query();
    expect(status).toBe("active");
    await source.ended();
    expect(source.statuses.slice(-3)).toEqual([from, "cancelling", "cancelled"]);
  });

  test("cancelling -> cancelled, when everything is cleaned up", async () => {
    await using source = await Source.make();
    await using receiver = await holdActive(source);
    source.migration.cancel();
    source.migration.cancel();
    expect(await source.ended()).toBe("cancelled");
    // The channel is closed and the dirty log is off.
    await receiver.over;
    await source.expectUntouched();
  });

  test("active -> completed, when everything was sent and the channel is sound", async () => {
    await using source = await Source.make();
    await source.expectMigrates();
    expect(source.statuses).toEqual(["setup", "active", "completed"]);
    expect(source.run.state).toBe("postmigrate");
  });

  test.each([
    ["setup", "no connection could be made", async () => NOWHERE],
    [
      "setup",
      "the channel failed",
      async (source: Source) => (await source.receiver({ dropAt: 1, prepared: NEVER })).uri,
    ],
    [
      "active",
      "the channel failed",
      async (source: Source) => (await source.receiver({ dropAt: 300_000, prepared: NEVER })).uri,
    ],
    [
      "active",
      "the guest could not be stopped",
      async (source: Source) => {
        source.machine.stop = () => Promise.reject(new Error("it does not listen"));
        return (await source.receiver()).uri;
      },
    ],
  ] as const)("%s -> failed, when %s", async (from, _, make) => {
    await using source = await Source.make();
    source.migration.migrate(await make(source));
    expect(await source.ended()).toBe("failed");
    // A destination that is gone after its first byte may be noticed only behind the setup stage.
    if (from === "active") expect(source.statuses).toEqual(["setup", "active", "failed"]);
    expect(source.migration.query()).toEqual({
      status: "failed",
      "error-desc": source.migration.error!.message,
    });
    await source.expectUntouched();
  });
});

describe("notifiers are called", () => {
  type Call = readonly [MigrationStatus, inSetup: boolean, finished: boolean, failed: boolean, sent: boolean];

  async function calls(act: (source: Source) => Promise<void>): Promise<Call[]> {
    await using source = await Source.make();
    const seen: Call[] = [];
    const notifier = (state: MigrationState): void => {
      const sent = source.migration.statistics.transferred > 0;
      seen.push([state.get(), state.isInSetup(), state.hasCompleted(), state.hasFailed(), sent]);
    };
    source.migration.addNotifier(notifier);
    const remove = source.migration.addNotifier(() => {
      throw new Error("removed ones are not called");
    });
    remove();
    await act(source);
    return seen;
  }

  test("when the channel is connected, before the first byte, and in the clean-up of a completed one", async () => {
    expect(await calls((source) => source.expectMigrates())).toEqual([
      ["setup", true, false, false, false],
      ["completed", false, true, false, true],
    ]);
  });

  test("when an attempt fails before that", async () => {
    const failing = async (source: Source): Promise<void> => {
      source.migration.migrate(NOWHERE);
      await source.ended();
    };
    expect(await calls(failing)).toEqual([["failed", false, false, true, false]]);
  });

  test("in the clean-up of one that was cancelled", async () => {
    const cancelling = async (source: Source): Promise<void> => {
      await using _ = await holdActive(source);
      source.migration.cancel();
      await source.ended();
    };
    expect(await calls(cancelling)).toEqual([
      ["setup", true, false, false, false],
      ["cancelled", false, false, true, true],
    ]);
  });
});

describe("what refuses a migration", () => {
  test("is listed newest first, also before any was tried, and devices behind", async () => {
    await using source = await Source.make();
    source.machine.devices.markUnmigratable("gpu");
    for (const reason of ["the older reason", "one that goes", "the newer reason"]) {
      source.migration.addBlocker(reason);
    }
    source.migration.removeBlocker("one that goes");
    expect(source.migration.query()).toEqual({
      "blocked-reasons": ["the newer reason", "the older reason", "non-migratable device: gpu"],
    });
    expect(() => source.migration.migrate(NOWHERE)).toThrow("State blocked by non-migratable device 'gpu'");
    expect(source.statuses).toEqual([]);
  });
});
