import { MigrationError } from "@peregrine/protocol";
import { Listeners } from "./listeners.ts";

const STATUSES = [
  "none",
  "setup",
  "active",
  // The guest is stopped, and nothing more is sent until the migration is continued.
  "pre-switchover",
  // The migration was continued: the rest is being sent.
  "device",
  "cancelling",
  "cancelled",
  "completed",
  "failed",
] as const;

/** Where the one outgoing migration of a process stands. */
export type MigrationStatus = (typeof STATUSES)[number];

/** Every change that there is. */
export const MIGRATION_TRANSITIONS: Readonly<Record<MigrationStatus, readonly MigrationStatus[]>> = {
  none: ["setup"],
  setup: ["active", "cancelling", "failed"],
  active: ["pre-switchover", "cancelling", "completed", "failed"],
  "pre-switchover": ["device", "cancelling", "failed"],
  device: ["cancelling", "completed", "failed"],
  cancelling: ["cancelled"],
  cancelled: ["setup"],
  completed: ["setup"],
  failed: ["setup"],
};

/** Is told of each change of a migration's status. */
export type MigrationStatusListener = (status: MigrationStatus) => void;

const STATE_BYTES = Int32Array.BYTES_PER_ELEMENT;

/**
 * The state of the outgoing migration, shared by the main and the migration thread. It changes only by
 * compare-and-exchange, so that of a cancel and a completion that race, one wins.
 *
 * Listeners belong to the thread that added them. The thread that made a change calls its own at once;
 * it tells other threads by a message, and they pass it on with {@link MigrationState.publish}.
 */
export class MigrationState {
  /** For opening the same state in another thread. */
  readonly buffer: SharedArrayBuffer;
  readonly #cell: Int32Array;
  readonly #listeners = new Listeners<MigrationStatus>();

  /** @param buffer of another thread's MigrationState; a new one begins as `none`. */
  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(STATE_BYTES)) {
    this.buffer = buffer;
    this.#cell = new Int32Array(buffer, 0, 1);
  }

  get(): MigrationStatus {
    const status = STATUSES[Atomics.load(this.#cell, 0)];
    if (status === undefined) throw new MigrationError("INTERNAL", "the migration state was overwritten");
    return status;
  }

  /**
   * Changes `from` to `to` and tells the listeners.
   * @returns false, with nothing changed, when the current state is not `from`.
   * Errors: INTERNAL when there is no such change.
   */
  set(from: MigrationStatus, to: MigrationStatus): boolean {
    if (!MIGRATION_TRANSITIONS[from].includes(to)) {
      throw new MigrationError("INTERNAL", `a migration never goes from ${from} to ${to}`);
    }
    const expected = STATUSES.indexOf(from);
    if (Atomics.compareExchange(this.#cell, 0, expected, STATUSES.indexOf(to)) !== expected) return false;
    this.publish(to);
    return true;
  }

  /**
   * Changes the state of a migration that is under way to `to`, whichever it is.
   * @returns false, with nothing changed, when it has no such change.
   */
  end(to: "cancelling" | "cancelled" | "completed" | "failed"): boolean {
    for (;;) {
      const from = this.get();
      if (!MIGRATION_TRANSITIONS[from].includes(to)) return false;
      if (this.set(from, to)) return true;
    }
  }

  /** Tells this thread's listeners of a change that another thread made. */
  publish(status: MigrationStatus): void {
    this.#listeners.tell(status);
  }

  /** @returns a function that ends the subscription. */
  subscribe(listener: MigrationStatusListener): () => void {
    return this.#listeners.add(listener);
  }

  /** A migration is under way: a new one is refused. */
  isRunning(): boolean {
    return isUnderWay(this.get());
  }

  isInSetup(): boolean {
    return this.get() === "setup";
  }

  hasCompleted(): boolean {
    return this.get() === "completed";
  }

  /** It ended, and the guest stayed here. */
  hasFailed(): boolean {
    const status = this.get();
    return status === "failed" || status === "cancelled";
  }
}

/** Whether an attempt is under way: a new one is refused. */
export function isUnderWay(status: MigrationStatus): boolean {
  switch (status) {
    case "setup":
    case "active":
    case "pre-switchover":
    case "device":
    case "cancelling":
      return true;
    default:
      return false;
  }
}
