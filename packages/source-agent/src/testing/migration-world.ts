import { MigrationError } from "@peregrine/protocol";
import { isUnderWay, MIGRATION_TRANSITIONS } from "@peregrine/shared-state";
import type { MigrationStatus } from "@peregrine/shared-state";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { Source } from "./source.ts";
import type { ReceiverBehaviour, TestReceiver } from "./test-receiver.ts";

const MiB = 1 << 20;
/** How long a state is waited for that may never come. Milliseconds. */
const PATIENCE_MS = 500;
const ENDS = ["completed", "failed", "cancelled"] as const;

/** What is to be true of the guest, as far as its operator has said. */
export interface GuestModel {
  /** It runs here as long as it is here. */
  runs: boolean;
}

export type Destination = Omit<ReceiverBehaviour, "devices"> | "nowhere";

/** A source with its destinations, and what has to hold whatever is done to them. */
export class MigrationWorld implements AsyncDisposable {
  readonly source: Source;
  readonly #violations: string[] = [];
  readonly #plans = new Map<MigrationStatus, () => void>();
  #last: MigrationStatus = "none";
  /** An attempt has been connected and has not ended. */
  #attempt = false;
  #receiver: TestReceiver | undefined;

  private constructor(source: Source) {
    this.source = source;
    const { migration, run } = source;
    migration.subscribe((event) => {
      if (event.kind !== "migration") return;
      const { status } = event;
      this.#require(MIGRATION_TRANSITIONS[this.#last].includes(status), `${this.#last} -> ${status}`);
      this.#last = status;
      const hasStayed = status === "failed" || status === "cancelled";
      if (hasStayed) this.#require(run.state !== "finish-migrate", `${status}, and the guest is not back`);
      const plan = this.#plans.get(status);
      this.#plans.delete(status);
      plan?.();
    });
    migration.addNotifier((state) => {
      this.#require(!state.isInSetup() || !this.#attempt, "two attempts at a time");
      this.#attempt = state.isInSetup();
    });
  }

  static async make(): Promise<MigrationWorld> {
    return new MigrationWorld(await Source.make({ dirtyRate: 4 * MiB, timeouts: { revoke: 1000 } }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source[Symbol.asyncDispose]();
  }

  /** Refused, with nothing changed, while a migration is under way and when the guest was sent. */
  async migrate(destination: Destination): Promise<void> {
    const { migration, run } = this.source;
    const receiver = destination === "nowhere" ? undefined : await this.source.receiver(destination);
    const { status } = migration;
    const refusal = isUnderWay(status)
      ? "There's a migration process in progress"
      : run.state === "postmigrate"
        ? "Can't migrate the vm that was paused due to previous migration"
        : undefined;
    const uri = receiver?.uri ?? "unix:/nowhere/peregrine.sock";
    if (refusal === undefined) {
      migration.migrate(uri);
      this.#receiver = receiver;
      expect(migration.status).toBe("setup");
      return;
    }
    expect(() => migration.migrate(uri)).toThrow(refusal);
    expect(migration.status).toBe(status);
  }

  /** Refused in another state. */
  continue(state: string): void {
    const { migration } = this.source;
    const { status } = migration;
    if (status === state) migration.continueMigration(state);
    else {
      expect(() => migration.continueMigration(state)).toThrow(`Migration not in expected state: ${status}`);
    }
  }

  /** Refused while a migration is under way and not being cancelled. */
  setCapabilities(states: Readonly<Record<string, boolean>>): void {
    const { migration } = this.source;
    if (!isUnderWay(migration.status) || migration.status === "cancelling") migration.setCapabilities(states);
    else {
      expect(() => migration.setCapabilities(states)).toThrow("There's a migration process in progress");
    }
  }

  /** The destination is gone. */
  async kill(): Promise<void> {
    await this.#receiver?.[Symbol.asyncDispose]();
  }

  async stop(guest: GuestModel): Promise<void> {
    await this.source.run.stop("paused");
    this.#operated(guest);
    expect(this.source.run.state).not.toBe("running");
  }

  /** Refused while the guest stands still to be sent, and when a destination has it. */
  async cont(guest: GuestModel): Promise<void> {
    try {
      await this.source.run.cont();
    } catch (error) {
      expect(MigrationError.from(error).message).toMatch(
        /^Migration is not finalized yet$|^The destination took over the guest/u,
      );
    }
    this.#operated(guest);
  }

  /** Does it as soon as the migration is in `status` the next time, before anybody else hears of that. */
  when(status: MigrationStatus, act: () => void): void {
    this.#plans.set(status, act);
  }

  /** Resolves when the migration has one of these states, but not later than after some time. */
  async reaches(...statuses: readonly MigrationStatus[]): Promise<void> {
    await Promise.race([this.source.reaches(...statuses), delay(PATIENCE_MS)]);
  }

  /** Lets what is under way come to its end, and checks that all is as it has to be. */
  async settle(guest: GuestModel): Promise<void> {
    this.#plans.clear();
    const { source } = this;
    const { migration, run } = source;
    if (isUnderWay(migration.status)) await this.reaches("pre-switchover", ...ENDS);
    if (migration.status === "pre-switchover") migration.continueMigration("pre-switchover");
    if (isUnderWay(migration.status)) await this.reaches(...ENDS);
    migration.cancel();
    if (isUnderWay(migration.status)) await source.ended();
    expect(this.#violations).toEqual([]);

    if (run.state === "postmigrate") {
      expect(migration.status).toBe("completed");
      // Where nobody answers, what was sent last may be on its way, or lost.
      if (!migration.confirmed) await this.#receiver!.over;
      if (this.#receiver!.description !== undefined) source.expectSame(this.#receiver!);
      if (migration.confirmed) {
        await expect(run.cont()).rejects.toThrow("The destination took over the guest");
        return;
      }
      await run.cont();
    } else {
      expect(run.state).toBe(guest.runs ? "running" : "paused");
      expect(source.machine.running).toBe(guest.runs);
      if (!guest.runs) await run.cont();
    }
    await source.expectUntouched();
    migration.setCapabilities({
      "pause-before-switchover": false,
      "switchover-ack": false,
      "return-path": true,
    });
    await source.expectMigrates();
    expect(this.#violations).toEqual([]);
  }

  /** What the operator wants is what the guest does now, or what it goes back to. */
  #operated(guest: GuestModel): void {
    const state = this.source.run.migratedState;
    if (state !== undefined) guest.runs = state === "running";
  }

  #require(holds: boolean, violation: string): void {
    if (!holds) this.#violations.push(violation);
  }
}
