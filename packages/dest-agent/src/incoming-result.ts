import type { MigrationError } from "@peregrine/protocol";
import type { RunState } from "@peregrine/shared-state";
import type { Address } from "@peregrine/transport";

/** Counts and times of an incoming migration. Times are milliseconds. */
export interface IncomingProgress {
  /** Bytes of the stream received. */
  readonly bytes: number;
  /** Pages that came whole, each as often as it came. */
  readonly pages: number;
  /** Pages that came as a fill byte. */
  readonly zeroPages: number;
  /** From the stream's first byte until now or the end; 0 before the first byte. */
  readonly totalTime: number;
  /** Spent on loading the devices that come after RAM. */
  readonly lateDevicesTime: number;
  /** From the end mark until the guest was started or left stopped; 0 before that. */
  readonly startTime: number;
  /**
   * Milliseconds of {@link startTime} that came after the answer to the source: no source can count them as downtime.
   */
  readonly afterAnswerTime: number;
}

/** How an incoming migration ended. */
export type IncomingResult =
  | {
      readonly kind: "loaded";
      /** What the guest does now: `running`, or the state in which it arrived. */
      readonly runState: RunState;
      /** Why it is paused although it ran at the source: its drives could not be taken over. */
      readonly error?: MigrationError;
      readonly progress: IncomingProgress;
    }
  | { readonly kind: "failed"; readonly error: MigrationError; readonly progress: IncomingProgress };

/** Where an incoming migration stands. */
export type IncomingStatus =
  | { readonly kind: "setup" }
  | { readonly kind: "listening"; readonly address: Address }
  | {
      readonly kind: "active";
      /** The source, as its channel names it. */
      readonly peer: string;
      readonly progress: IncomingProgress;
    }
  /** It stands still here until somebody says who has it. */
  | {
      readonly kind: "undecided";
      readonly peer: string;
      readonly error: MigrationError;
      readonly progress: IncomingProgress;
    }
  | IncomingResult;
