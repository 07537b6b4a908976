import { ALL_EXTENSIONS, DEFAULT_LIMITS } from "@peregrine/protocol";
import type { Extensions, Limits, MigrationError, MigrationId } from "@peregrine/protocol";
import { NO_LEDGER } from "@peregrine/shared-state";
import type { Machine, OwnershipLedger, RunControl } from "@peregrine/shared-state";
import type { ChannelOptions } from "@peregrine/transport";

/** What a source expects. */
export interface SourceExpectation {
  /**
   * Whether it waits to be told that the guest is loaded, and keeps it until then. If not, it has given the guest up
   * when it has sent everything.
   */
  readonly returnPath: boolean;
  /** Whether it has asked for a hand-over. */
  readonly asksHandOver: boolean;
}

/** The same when everything is here. */
export interface SourceOffer {
  readonly returnPath: boolean;
  /** By which name the source decides about the guest. Undefined: it takes for its loss what it is told next. */
  readonly migration: MigrationId | undefined;
}

/** Where a guest goes that is sent on: what a relay passes on of the hand-over. It never belongs to this side. */
export interface PassesOn {
  /**
   * The source has given the guest. Resolves when the destination has it. Resolves with an error when nobody knows whether it
   * has: the source is told nothing. Rejects with why the destination does not have it and never will.
   */
  given(): Promise<MigrationError | undefined>;
  /** The source's decision will not be heard. @returns what the load fails with. */
  lost(reason: MigrationError): MigrationError;
}

/** What an incoming migration is made of, and how it is done. */
export interface IncomingMigrationOptions {
  /** The machine that the guest arrives in. With an `intake` it may be any. It is disposed of when the load fails. */
  readonly machine: Machine;
  /** The machine's run state, which is `inmigrate`. */
  readonly runControl: RunControl;
  /** Whether a guest that ran at the source is started here. Default: as it is set in `runControl`. */
  readonly autostart?: boolean;
  /** Default: DEFAULT_LIMITS. */
  readonly limits?: Limits;
  readonly channelOptions?: ChannelOptions;
  /** Where it is kept who has the guest. Default: nowhere. */
  readonly ledger?: OwnershipLedger;
  /** What a source can have beyond QEMU's protocol. Default: everything. */
  readonly extensions?: Extensions;
  /**
   * Milliseconds of silence after which a source counts as dead: one that has promised to speak up, and any other whose
   * kernel answers nothing either. 0: never. Default: 5000.
   */
  readonly silence?: number;
  /**
   * The guest is sent on, and its destination takes part in the hand-over or does not: {@link IncomingMigration.agree} says so.
   * Default: it is to be this side's.
   */
  readonly passesOn?: PassesOn;
  /** Called when the guest is loaded and nobody will say whether it is this side's. */
  readonly undecided?: (error: MigrationError) => void;
  /** Called when the machine's intake was opened: it can be sent on from now on. */
  readonly opened?: (source: SourceExpectation) => void;
  /**
   * Called when everything is loaded, before the source is told so; it may take as long as it likes. When it rejects,
   * the load fails with that error. Then a source with a return path goes on with its guest, and without one the
   * guest is lost: so without one it had better not reject.
   *
   * The load can still be called off meanwhile: by `close`, and by a source with a return path
   * that takes its guest back. Then `done` resolves, and what this comes to is ignored.
   */
  readonly accept?: (source: SourceOffer) => Promise<void>;
  /** Called once when the load has succeeded, before the guest runs: tells the network where it is now. */
  readonly announce?: () => void;
  /** Told how much of the first pass over the machine's drives has come, in percent. */
  readonly drivesProgress?: (percent: number) => void;
  /** Told of connections that were not let in. Others can still come. */
  readonly refused?: (error: MigrationError) => void;
}

/** What of the options is never left out. */
export const INCOMING_DEFAULTS = {
  limits: DEFAULT_LIMITS,
  channelOptions: {},
  ledger: NO_LEDGER,
  extensions: ALL_EXTENSIONS,
  silence: 5000,
} satisfies Partial<IncomingMigrationOptions>;
