import { MigrationError } from "@peregrine/protocol";
import type { MigrationId } from "@peregrine/protocol";
import type { GiverKnowledge, Machine, RunControl } from "@peregrine/shared-state";
import type { DowntimeBreakdown } from "./downtime.ts";
import type { Giving } from "./giving.ts";
import type { Ownership } from "./outgoing-options.ts";
import type { Handover } from "./thread-messages.ts";

/** Whether the guest is still here, as far as the present or last attempt to send it goes. */
export class Departure {
  readonly #machine: Pick<Machine, "carried">;
  readonly #run: RunControl;
  #giving: Giving | undefined;
  #handover: Handover | undefined;
  #isCopy = false;

  constructor(machine: Pick<Machine, "carried">, run: RunControl) {
    this.#machine = machine;
    this.#run = run;
    // Who continues it here has decided that what is in the file is a copy.
    run.subscribe(({ name }) => {
      if (name === "RESUME" && this.#giving?.gone === true && !run.handedOver)
        void this.#giving.continuedHere();
    });
  }

  /** Another attempt begins. @param isCopy the guest stays here, whatever becomes of it. */
  begin(isCopy: boolean): void {
    this.#isCopy = isCopy;
    this.#handover = undefined;
  }

  /** From here on the attempt can give the guest away. */
  give(giving: Giving): void {
    this.#giving?.superseded();
    this.#giving = giving;
  }

  /** Everything was sent, and answered where somebody answers. */
  handedOver(handover: Handover): void {
    this.#handover = handover;
    this.#run.handedOver = handover.confirmed;
    // A guest that has been copied goes on.
    if (!this.#isCopy) this.#leaveRunState();
  }

  /** Whether the destination has said that it has the guest. */
  get confirmed(): boolean {
    return this.#handover?.confirmed ?? false;
  }

  get isCopy(): boolean {
    return this.#isCopy;
  }

  get downtime(): DowntimeBreakdown | undefined {
    return this.#handover?.downtime;
  }

  /** @param handingOver everything is sent in an attempt that is under way. */
  ownership(handingOver: boolean): Ownership {
    if (this.#run.handedOver) return "not-owner";
    if (this.undecided) return "undecided";
    // Who continues it here has decided.
    const isSent = this.#handover?.confirmed === false && !this.#isCopy && this.#run.state !== "running";
    return handingOver || isSent ? "undecided" : "owner";
  }

  /** Whether the guest stands still until {@link resolve} is called. */
  get undecided(): boolean {
    return this.#giving?.inDoubt ?? false;
  }

  /** What is known of the attempt, by the name that both ends have for it. */
  get handOver(): { readonly migration: MigrationId; readonly knows: GiverKnowledge } | undefined {
    const giving = this.#giving;
    return giving && { migration: giving.migration.migration, knows: giving.knows };
  }

  /**
   * An operator has found out who has the guest. As `owner` it goes on here.
   * Errors: WRONG_STATE when nothing is undecided; those of continuing the guest.
   */
  async resolve(as: "owner" | "gone"): Promise<void> {
    const giving = this.#giving;
    if (giving === undefined || !giving.inDoubt) {
      throw new MigrationError(
        "WRONG_STATE",
        "It is known here who has the guest: there is nothing to resolve",
      );
    }
    await giving.hear(as === "owner" ? "resolved-owner" : "resolved-gone");
    this.#run.undecided = false;
    if (as === "owner") {
      await this.#run.restore();
      return;
    }
    this.#run.handedOver = true;
    this.#run.set("postmigrate");
  }

  /** A machine that only passes through can be sent again until it is confirmed; it does not run here meanwhile. */
  #leaveRunState(): void {
    const staysHere = this.#machine.carried !== undefined && !this.confirmed;
    switch (this.#run.state) {
      case "finish-migrate":
        this.#run.set(staysHere ? "paused" : "postmigrate");
        return;
      case "inmigrate":
        if (!staysHere) this.#run.set("postmigrate");
        return;
      default:
    }
  }
}
