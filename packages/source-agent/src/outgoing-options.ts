import type { Extensions, MigrationId } from "@peregrine/protocol";
import type {
  Machine,
  MigrationState,
  MigrationStatus,
  OwnershipLedger,
  RunControl,
} from "@peregrine/shared-state";
import type { NamedDescriptors, SecurityObjects } from "@peregrine/transport";
import type { MigrationThreads } from "./migration-threads.ts";
import type { MigrationTimeouts } from "./thread-messages.ts";

/** How long an outgoing migration waits where nothing else is said. Milliseconds. */
export const DEFAULT_TIMEOUTS: MigrationTimeouts = {
  connect: 30_000,
  confirm: 30_000,
  revoke: 5000,
  reclaim: 5000,
  silence: 5000,
};

/** Where a guest comes from that is sent on: what a relay passes on of the hand-over. */
export interface PassedOn {
  /** Whether the source has asked for a hand-over. Without one the guest is sent on without one. */
  readonly asked: boolean;
  /** The destination has answered. @param handOver whether it takes part in a hand-over. */
  agreed(handOver: boolean): void;
  /** Resolves when everything has come: by which name the source offers the guest, if it does. Never rejects. */
  offered(): Promise<MigrationId | undefined>;
  /**
   * The destination has loaded everything. Resolves with what the source has decided; `lost`: that will not be heard. Never
   * rejects.
   */
  loaded(): Promise<"give" | "keep" | "lost">;
}

/** What an outgoing migration is made of, and how long it waits. */
export interface OutgoingMigrationOptions {
  readonly machine: Machine;
  readonly run: RunControl;
  /**
   * Default: 30 s to connect, 30 s for the destination's confirmation, 5 s after a late cancel, 5 s for drives, 5 s of
   * silence.
   */
  readonly timeouts?: Partial<MigrationTimeouts>;
  /** Where it is kept who has the guest. Default: nowhere. */
  readonly ledger?: OwnershipLedger;
  /** What a destination is asked for beyond QEMU's protocol. Default: everything. */
  readonly extensions?: Extensions;
  /** The guest is sent on while it comes. Default: it is this side's. */
  readonly passedOn?: PassedOn;
  /** What the names in `fd:NAME` stand for. Default: none is known. */
  readonly descriptors?: NamedDescriptors;
  /** What the parameters for TLS name. Default: nothing is known. */
  readonly objects?: SecurityObjects;
  /** Who starts the threads that migrations are sent by. Default: one of its own. */
  readonly threads?: MigrationThreads;
}

/** What the monitor is told. */
export type OutgoingMigrationEvent =
  | { readonly kind: "migration"; readonly status: MigrationStatus }
  /** `pass` counts from 1. */
  | { readonly kind: "migration-pass"; readonly pass: number };

/**
 * Called when the channel is connected and nothing was sent yet (`setup`), and when an attempt has ended.
 * What it throws before the first byte fails the migration.
 */
export type MigrationNotifier = (migration: MigrationState) => void;

/**
 * Whether this agent holds the guest. `undecided`: everything is sent, and the destination has not answered or
 * was not asked to.
 */
export type Ownership = "owner" | "not-owner" | "undecided";
