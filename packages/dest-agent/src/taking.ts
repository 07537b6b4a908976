import { MigrationError } from "@peregrine/protocol";
import type { MigrationId } from "@peregrine/protocol";
import { RecordedSide, stepTaker, takerIsInDoubt, TAKER_LOADING } from "@peregrine/shared-state";
import type {
  OwnershipLedger,
  Taker,
  TakerEffect,
  TakerEvent,
  TakerKnowledge,
} from "@peregrine/shared-state";

/** The taker's side of one hand-over, with its records. What is done with the guest follows from its state. */
export class Taking {
  readonly migration: MigrationId;
  readonly #side: RecordedSide<Taker, TakerEvent, TakerEffect>;

  /** @param peer the source, as its channel names it. */
  constructor(ledger: OwnershipLedger, migration: MigrationId, peer: string) {
    this.migration = migration;
    this.#side = new RecordedSide({
      ledger,
      migration,
      peer,
      start: TAKER_LOADING,
      step: stepTaker,
      records: { "record-owner": "owner", "record-receiving": "receiving" },
      answered: "record-owner",
      answers: { recorded: "recorded", notRecorded: "not-recorded" },
      failed: (error) => process.emitWarning(error),
    });
  }

  /** The guest is loaded, and nobody will say whether it is this side's. */
  get inDoubt(): boolean {
    return takerIsInDoubt(this.#side.state);
  }

  /** The guest is this side's, and that is recorded. */
  get owns(): boolean {
    return this.#side.state.kind === "owns";
  }

  /** What an operator is told. */
  get knows(): TakerKnowledge {
    switch (this.#side.state.kind) {
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
    return this.#side.hear(event);
  }
}

/** What an operator reads. @param reason why the source's decision was not heard. */
export function undecided(reason: MigrationError): MigrationError {
  const text =
    `The guest is loaded, and the source did not say whether it is to run here: ${reason.message}. It stands still. ` +
    "Look at the source with peregrine info, and then tell this side with peregrine resolve";
  return new MigrationError("UNDECIDED", text, { cause: reason });
}
