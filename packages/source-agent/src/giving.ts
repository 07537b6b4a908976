import { MigrationError } from "@peregrine/protocol";
import type { MigrationId } from "@peregrine/protocol";
import { GIVER_OFFERS, giverIsInDoubt, RecordedSide, stepGiver } from "@peregrine/shared-state";
import type {
  Giver,
  GiverEffect,
  GiverEvent,
  GiverKnowledge,
  OwnershipLedger,
} from "@peregrine/shared-state";

/** How long it takes until it is tried again to record that the guest has stayed here. Milliseconds. */
const RECORD_AGAIN_MS = 1000;

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
  readonly #side: RecordedSide<Giver, GiverEvent, GiverEffect>;
  #failure: MigrationError | undefined;
  /** The record may say that the guest was given away. */
  #mayBeGiven = false;
  #isUnrecorded = false;
  #isSuperseded = false;

  constructor(ledger: OwnershipLedger, migration: RecordedMigration) {
    this.#ledger = ledger;
    this.migration = migration;
    this.#side = new RecordedSide({
      ledger,
      ...migration,
      start: GIVER_OFFERS,
      step: stepGiver,
      records: { "record-given": "given", "record-owner": "owner", "record-gone": "gone" },
      answered: "record-given",
      answers: { recorded: "recorded", notRecorded: "not-recorded" },
      failed: (error, ownership) => {
        this.#failure = error;
        process.emitWarning(error);
        if (ownership !== "owner" || !this.#mayBeGiven) return;
        this.#isUnrecorded = true;
        this.#recordLater();
      },
    });
  }

  /**
   * Makes sure that what is decided can be recorded, before anything is sent.
   * Errors: STORE_FAILED.
   */
  async requireRecords(): Promise<void> {
    try {
      await this.#ledger.write({ ownership: "owner" });
    } catch (cause) {
      const { message } = MigrationError.from(cause, "STORE_FAILED");
      const text = `The guest stays here, because it could not be recorded who gets it: ${message}`;
      throw new MigrationError("STORE_FAILED", text, { cause });
    }
  }

  /** The guest is given away, and the destination has not answered. */
  get given(): boolean {
    return this.#side.state.kind === "given";
  }

  /** The guest is given away, and nothing more will be heard of it. */
  get inDoubt(): boolean {
    return giverIsInDoubt(this.#side.state);
  }

  /** The destination has the guest. */
  get gone(): boolean {
    return this.#side.state.kind === "gone";
  }

  /** Why the last decision that could not be recorded could not. */
  get failure(): MigrationError | undefined {
    return this.#failure;
  }

  /**
   * The guest has stayed here, and that could not be recorded so far: who finds the record after the end of this process
   * may take it for gone.
   */
  get isUnrecorded(): boolean {
    return this.#isUnrecorded;
  }

  /** What an operator is told. */
  get knows(): GiverKnowledge {
    switch (this.#side.state.kind) {
      case "given":
      case "gone":
        return this.#side.state.kind;
      case "deciding":
        return "unknown";
      default:
        return "owner";
    }
  }

  /** Resolves when what follows from the event is recorded, as far as that is possible. Never rejects. */
  hear(event: GiverEvent): Promise<void> {
    if (event === "loaded") this.#mayBeGiven = true;
    return this.#side.hear(event);
  }

  /** The destination has taken the guest without asking for a decision, as a QEMU does. Never rejects. */
  takenUnasked(): Promise<void> {
    return this.#side.become({ kind: "gone" }, ["record-gone"]);
  }

  /** The guest is in a file, and goes on here as well. Never rejects. */
  async continuedHere(): Promise<void> {
    try {
      await this.#ledger.write({ ownership: "owner" });
    } catch (error) {
      process.emitWarning(MigrationError.from(error));
    }
  }

  /** Another migration begins: only that one decides from now on. */
  superseded(): void {
    this.#isSuperseded = true;
  }

  /** The guest runs here. What keeps its record from being written, a full disk for example, may pass. */
  #recordLater(): void {
    setTimeout(() => void this.#recordAgain(), RECORD_AGAIN_MS).unref();
  }

  async #recordAgain(): Promise<void> {
    if (this.#isSuperseded) return;
    try {
      await this.#ledger.write({ ownership: "owner", ...this.migration });
      this.#isUnrecorded = false;
    } catch {
      this.#recordLater();
    }
  }
}
