import { MigrationError } from "@peregrine/protocol";
import type { Machine } from "@peregrine/shared-state";
import type { IncomingMigrationOptions, SourceOffer } from "./incoming-options.ts";

/** The machine once everything of it is here, up to the moment when it is known whose it is. */
export class LoadedMachine {
  readonly #machine: Machine;
  readonly #accept: IncomingMigrationOptions["accept"];
  /** Its drives are being locked, or were. */
  #locked: Promise<void> | undefined;

  constructor(machine: Machine, accept: IncomingMigrationOptions["accept"]) {
    this.#machine = machine;
    this.#accept = accept;
  }

  /** Errors: why the guest cannot be taken all the same. */
  async require(source: SourceOffer): Promise<void> {
    // The source has released them. If they are in use elsewhere, it can still go on with its guest.
    await this.lock();
    await this.#accept?.(source);
  }

  /** Errors: those of the drives. */
  lock(): Promise<void> {
    this.#locked = this.#lock();
    return this.#locked;
  }

  /** Whoever has the guest is to be able to use its drives. Never rejects. */
  async unlock(): Promise<void> {
    await tidyUp(() => this.#machine.drives?.unlock());
  }

  /** Nothing of the load stays. Never rejects. */
  async discard(): Promise<void> {
    await this.#locked?.catch(() => {});
    await tidyUp(() => this.#machine.drives?.discard());
    await tidyUp(() => this.#machine.dispose());
  }

  async #lock(): Promise<void> {
    await this.#machine.drives?.lock();
  }
}

/** Why the load failed matters more than what goes wrong after it. */
async function tidyUp(step: () => Promise<void> | undefined): Promise<void> {
  try {
    await step();
  } catch (cause) {
    process.emitWarning(MigrationError.from(cause));
  }
}
