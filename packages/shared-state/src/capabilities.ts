import { MigrationError } from "@peregrine/protocol";
import type { MigrationStatus } from "./migration-state.ts";

/** Every capability that is built, with its default. */
const DEFAULTS = {
  /** Send MIGRATION and MIGRATION_PASS events. */
  events: false,
};

export type CapabilityName = keyof typeof DEFAULTS;

export interface CapabilityState {
  readonly capability: CapabilityName;
  readonly state: boolean;
}

/** As a client asks for it: the name is not checked yet. */
export interface CapabilityChange {
  readonly capability: string;
  readonly state: boolean;
}

/** The capabilities of all migrations of a process. */
export class MigrationCapabilities {
  readonly #states: Record<CapabilityName, boolean> = { ...DEFAULTS };

  isOn(capability: CapabilityName): boolean {
    return this.#states[capability];
  }

  /** The answer of `query-migrate-capabilities`. */
  list(): CapabilityState[] {
    return (Object.keys(this.#states) as CapabilityName[]).map((capability) => ({
      capability,
      state: this.#states[capability],
    }));
  }

  /**
   * Makes all of `changes`, or none of them.
   * @param migration the state of the outgoing migration.
   * Errors: IN_PROGRESS in `setup` and `active`, BAD_PARAMETER for a capability that is not built.
   */
  set(changes: readonly CapabilityChange[], migration: MigrationStatus): void {
    if (migration === "setup" || migration === "active") {
      throw new MigrationError("IN_PROGRESS", "There's a migration process in progress");
    }
    const checked = changes.map(({ capability, state }) => ({ capability: known(capability), state }));
    for (const { capability, state } of checked) this.#states[capability] = state;
  }
}

function known(name: string): CapabilityName {
  if (Object.hasOwn(DEFAULTS, name)) return name as CapabilityName;
  throw new MigrationError("BAD_PARAMETER", `Parameter 'capability' does not accept value '${name}'`);
}
