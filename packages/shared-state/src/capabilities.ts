import { MigrationError } from "@peregrine/protocol";
import { isUnderWay } from "./migration-state.ts";
import type { MigrationStatus } from "./migration-state.ts";

/** Every capability that is built, with its default, in the order in which QEMU lists them. */
const DEFAULTS = {
  /** After the first pass, send pages as their difference from what the destination has. */
  xbzrle: false,
  /** Slow a guest down that dirties memory faster than it is sent. */
  "auto-converge": false,
  /** Send a chunk of a drive that is all zeros as such. */
  "zero-blocks": false,
  /** Send MIGRATION and MIGRATION_PASS events. */
  events: false,
  /**
   * Have the destination answer. On by default, unlike in other programs that speak this stream: without it
   * nobody learns whether the destination has loaded the guest.
   */
  "return-path": true,
  /** Stop the guest, and send the rest only when the migration is continued. */
  "pause-before-switchover": false,
  /** Send pages over connections of their own. */
  multifd: false,
  /** Stop the guest only when the destination has said that it is ready to take over. */
  "switchover-ack": false,
  /** Give each page a fixed place in a file. */
  "mapped-ram": false,
};

/** Capabilities that only work together with another one. */
const REQUIREMENTS: readonly (readonly [CapabilityName, CapabilityName])[] = [
  ["switchover-ack", "return-path"],
];

/** Capabilities that cannot be on together. */
const INCOMPATIBLE: readonly (readonly [CapabilityName, CapabilityName, string])[] = [
  ["multifd", "xbzrle", "Multifd is not compatible with xbzrle"],
  ["mapped-ram", "xbzrle", "Mapped-ram migration is incompatible with xbzrle"],
  ["mapped-ram", "multifd", "Mapped-ram migration is incompatible with multifd"],
];

/** A capability, by its name in QMP. */
export type CapabilityName = keyof typeof DEFAULTS;

/** Every capability with its state. */
export type CapabilityStates = Readonly<Record<CapabilityName, boolean>>;

/** A capability with its state, as in QMP. */
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
  #states: CapabilityStates = DEFAULTS;

  /** As they are now; a later change makes a new object. */
  get states(): CapabilityStates {
    return this.#states;
  }

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
   * Errors: IN_PROGRESS while one is under way and not being cancelled; BAD_PARAMETER for a capability that is not
   * built, for one without the other that it needs, and for two that cannot be on together.
   */
  set(changes: readonly CapabilityChange[], migration: MigrationStatus): void {
    if (isUnderWay(migration) && migration !== "cancelling") {
      throw new MigrationError("IN_PROGRESS", "There's a migration process in progress");
    }
    const wanted = { ...this.#states };
    for (const { capability, state } of changes) wanted[known(capability)] = state;
    for (const [one, other] of REQUIREMENTS) {
      if (!wanted[one] || wanted[other]) continue;
      throw new MigrationError("BAD_PARAMETER", `Capability '${one}' requires capability '${other}'`);
    }
    for (const [one, other, refusal] of INCOMPATIBLE) {
      if (wanted[one] && wanted[other]) throw new MigrationError("BAD_PARAMETER", refusal);
    }
    this.#states = wanted;
  }
}

function known(name: string): CapabilityName {
  if (Object.hasOwn(DEFAULTS, name)) return name as CapabilityName;
  throw new MigrationError("BAD_PARAMETER", `Parameter 'capability' does not accept value '${name}'`);
}
