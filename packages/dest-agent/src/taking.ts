import { MigrationError } from "@peregrine/protocol";
import type { MigrationId } from "@peregrine/protocol";
import { stepTaker, takerIsInDoubt, TAKER_LOADING } from "@peregrine/shared-state";
import type {
  OwnershipLedger,
  RecordedOwnership,
  Taker,
  TakerEffect,
  TakerEvent,
  TakerKnowledge,
} from "@peregrine/shared-state";

/** The taker's side of one hand-over, with its records. What is done with the guest follows from its state. */
export class Taking {
  readonly migration: MigrationId;
  readonly #peer: string;
  readonly #ledger: OwnershipLedger;
  #taker: Taker = TAKER_LOADING;
  /** The effects of the last event, and of those before it. */
  #done: Promise<void> = Promise.resolve();

  /** @param peer the source, as its channel names it. */
  constructor(ledger: OwnershipLedger, migration: MigrationId, peer: string) {
    this.#ledger = ledger;
    this.migration = migration;
    this.#peer = peer;
  }

  /** The guest is loaded, and nobody will say whether it is this side's. */
  get inDoubt(): boolean {
    return takerIsInDoubt(this.#taker);
  }

  /** The guest is this side's, and that is recorded. */
  get owns(): boolean {
    return this.#taker.kind === "owns";
  }

  /** What an operator is told. */
  get knows(): TakerKnowledge {
    switch (this.#taker.kind) {
      case "loaded":
        return "loaded";
      case "owns":
        return "owner";
      case "gave-up":
        return "not-owner";
      default:
        return "unknown";
    }
  }

  /** Resolves when what follows from the event is recorded, as far as that is possible. Never rejects. */
  hear(event: TakerEvent): Promise<void> {
    const effects = this.#step(event);
    this.#done = this.#done.then(() => this.#perform(effects));
    return this.#done;
  }

  #step(event: TakerEvent): readonly TakerEffect[] {
    const [taker, effects] = stepTaker(this.#taker, event);
    this.#taker = taker;
    return effects;
  }

  async #perform(effects: readonly TakerEffect[]): Promise<void> {
    for (const effect of effects) {
      switch (effect) {
        case "record-owner": {
          const recorded = await this.#record("owner");
          await this.#perform(this.#step(recorded ? "recorded" : "not-recorded"));
          break;
        }
        case "record-receiving":
          await this.#record("receiving");
          break;
        case "send-loaded":
        case "send-taken":
        case "send-refused":
        case "start":
        case "discard":
        case "report":
          // Whoever told of the event does so, when it finds the new state.
          break;
      }
    }
  }

  /** @returns whether it is on the disk. */
  async #record(ownership: RecordedOwnership): Promise<boolean> {
    try {
      await this.#ledger.write({ ownership, migration: this.migration, peer: this.#peer });
      return true;
    } catch (error) {
      process.emitWarning(MigrationError.from(error));
      return false;
    }
  }
}

/** What an operator reads. @param reason why the source's decision was not heard. */
export function undecided(reason: MigrationError): MigrationError {
  const text =
    `The guest is loaded, and the source did not say whether it is to run here: ${reason.message}. It stands still. ` +
    "Look at the source with peregrine info, and then tell this side with peregrine resolve";
  return new MigrationError("UNDECIDED", text, { cause: reason });
}
