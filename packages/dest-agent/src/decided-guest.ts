import { MigrationError } from "@peregrine/protocol";
import type { MigrationId } from "@peregrine/protocol";
import type { OwnershipLedger, TakerKnowledge } from "@peregrine/shared-state";
import type { MainMessage } from "./incoming-messages.ts";
import type { PassesOn } from "./incoming-options.ts";
import type { LoadedMachine } from "./loaded-machine.ts";
import { Taking } from "./taking.ts";

export interface DecidedGuestOptions {
  readonly loaded: LoadedMachine;
  readonly ledger: OwnershipLedger;
  /** The guest is sent on. */
  readonly passesOn: PassesOn | undefined;
  /** The source, as its channel names it. */
  readonly peer: () => string;
}

/** Whose the guest is when everything of it is here: what is asked and recorded for it, in this order. */
export class DecidedGuest {
  readonly #options: DecidedGuestOptions;
  /** The source has offered the guest by a name, and decides about it. */
  #offered = false;
  /** Once everything is loaded, if the source decides then and the guest is to be this side's. */
  #taking: Taking | undefined;

  constructor(options: DecidedGuestOptions) {
    this.#options = options;
  }

  /** Where the guest goes, if it is sent on and its source decides. */
  get passesOn(): PassesOn | undefined {
    return this.#offered ? this.#options.passesOn : undefined;
  }

  get taking(): Taking | undefined {
    return this.#taking;
  }

  /** The source has given the guest, and that is recorded: it is this side's, whatever becomes of the connection. */
  get owns(): boolean {
    return this.#taking?.owns === true;
  }

  /** Everything of it is here, and nobody will say whether it is this side's. */
  get inDoubt(): boolean {
    return this.#taking?.inDoubt === true;
  }

  /** Undefined before everything of it is here, and where nobody decides. */
  get handOver(): { readonly migration: MigrationId; readonly knows: TakerKnowledge } | undefined {
    const taking = this.#taking;
    return taking && { migration: taking.migration, knows: taking.knows };
  }

  /** The source is to be asked. Errors: why the guest cannot be taken. */
  async accept(migration: MigrationId): Promise<void> {
    const { loaded, ledger, passesOn, peer } = this.#options;
    await loaded.require({ returnPath: true, migration });
    this.#offered = true;
    if (passesOn !== undefined) return;
    this.#taking = new Taking(ledger, migration, peer());
    await this.#taking.hear("complete");
  }

  /** The same where the source was not asked. Errors: why the guest cannot be taken. */
  async require(returnPath: boolean): Promise<void> {
    if (!this.#offered) await this.#options.loaded.require({ returnPath, migration: undefined });
  }

  /**
   * The source has given the guest, or will when it is told. Errors: STORE_FAILED when that cannot be recorded, and those of
   * where it is sent on to: the source takes it back.
   */
  async commit(): Promise<MainMessage> {
    if (this.passesOn !== undefined) {
      const unknown = await this.passesOn.given();
      return unknown === undefined ? { kind: "done" } : { kind: "unknown", error: unknown.serialize() };
    }
    const taking = this.#taking;
    await taking?.hear("give");
    if (taking === undefined || taking.owns) return { kind: "done" };
    throw new MigrationError("STORE_FAILED", "That the guest was taken cannot be recorded on this host");
  }
}
