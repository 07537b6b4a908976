/** What an agent knows of its guest when it is started again. */
export type RecordedOwnership =
  /** The guest is, or was until the process ended, at this agent. */
  | "owner"
  /** It was given away by decision of this agent, and nothing is known of the other side. */
  | "given"
  /** The other side has said that it has it, or an operator has. */
  | "gone"
  /** It is to arrive here; it never ran here. */
  | "receiving";

/** One decision about a guest. */
export interface OwnershipRecord {
  readonly ownership: RecordedOwnership;
  /** Of the migration that it is about, hexadecimal; undefined for a guest that was started here. */
  readonly migration?: string | undefined;
  /** The other side, as its address was given or its channel names it. */
  readonly peer?: string | undefined;
  /** Of a guest that is being received: the file that is to have all of it, though it may be its source's still. */
  readonly kept?: string | undefined;
}

/** Keeps what was decided. Decisions are written one after the other. */
export interface OwnershipLedger {
  /** Resolves when the record survives the end of the process and of its host. Errors: STORE_FAILED. */
  write(record: OwnershipRecord): Promise<void>;
}

/** For agents that are not to remember anything when they have ended. */
export const NO_LEDGER: OwnershipLedger = {
  write: () => Promise.resolve(),
};
