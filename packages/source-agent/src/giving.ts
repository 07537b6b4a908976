import { MigrationError } from "@peregrine/protocol";
import type { MigrationId } from "@peregrine/protocol";
import { GIVER_OFFERS, giverIsInDoubt, stepGiver } from "@peregrine/shared-state";
import type {
  Giver,
  GiverEffect,
  GiverEvent,
  GiverKnowledge,
  OwnershipLedger,
  RecordedOwnership,
} from "@peregrine/shared-state";

/** What is recorded of one migration besides who has the guest. */
export interface RecordedMigration {
  readonly migration: MigrationId;
  /** Where the guest is sent. */
  readonly peer: string;
}

/**
 * The giver's side of one hand-over, with its records. What the destination is told, and whether the guest goes on,
 * follows from {@link given}, {@link inDoubt} and {@link gone}.
 */
export class Giving {
  readonly migration: RecordedMigration;
  readonly #ledger: OwnershipLedger;
  #giver: Giver = GIVER_OFFERS;
  #failure: MigrationError | undefined;
  /** The effects of the last event, and of those before it. */
  #done: Promise<void> = Promise.resolve();

  constructor(ledger: OwnershipLedger, migration: RecordedMigration) {
    this.#ledger = ledger;
    this.migration = migration;
  }

  /** The guest is given away, and the destination has not answered. */
  get given(): boolean {
    return this.#giver.kind === "given";
  }

  /** The guest is given away, and nothing more will be heard of it. */
  get inDoubt(): boolean {
    return giverIsInDoubt(this.#giver);
  }

  /** The destination has the guest. */
  get gone(): boolean {
    return this.#giver.kind === "gone";
  }

  /** Why the last decision that could not be recorded could not. */
  get failure(): MigrationError | undefined {
    return this.#failure;
  }

  /** What an operator is told. */
  get knows(): GiverKnowledge {
    switch (this.#giver.kind) {
      case "given":
      case "gone":
        return this.#giver.kind;
      case "deciding":
        return "unknown";
      default:
        return "owner";
    }
  }

  /** Resolves when what follows from the event is recorded, as far as that is possible. Never rejects. */
  hear(event: GiverEvent): Promise<void> {
    const effects = this.#step(event);
    this.#done = this.#done.then(() => this.#perform(effects));
    return this.#done;
  }

  /** The destination has taken the guest without asking for a decision, as a QEMU does. Never rejects. */
  takenUnasked(): Promise<void> {
    this.#giver = { kind: "gone" };
    this.#done = this.#done.then(() => this.#perform(["record-gone"]));
    return this.#done;
  }

  #step(event: GiverEvent): readonly GiverEffect[] {
    const [giver, effects] = stepGiver(this.#giver, event);
    this.#giver = giver;
    return effects;
  }

  async #perform(effects: readonly GiverEffect[]): Promise<void> {
    for (const effect of effects) {
      switch (effect) {
        case "record-given": {
          const recorded = await this.#record("given");
          await this.#perform(this.#step(recorded ? "recorded" : "not-recorded"));
          break;
        }
        case "record-owner":
          await this.#record("owner");
          break;
        case "record-gone":
          await this.#record("gone");
          break;
        case "send-give":
        case "send-keep":
        case "go-on":
        case "report":
          // Whoever told of the event does so, when it finds the new state.
          break;
      }
    }
  }

  /** @returns whether it is on the disk. */
  async #record(ownership: RecordedOwnership): Promise<boolean> {
    try {
      await this.#ledger.write({ ownership, ...this.migration });
      return true;
    } catch (error) {
      this.#failure = MigrationError.from(error, "STORE_FAILED");
      process.emitWarning(this.#failure);
      return false;
    }
  }
}
