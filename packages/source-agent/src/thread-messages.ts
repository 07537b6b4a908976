import type { Extensions, MigrationId, SerializedError } from "@peregrine/protocol";
import type {
  CapabilityStates,
  CarriedClosing,
  CarriedOpening,
  DriveAccess,
  PageMapAccess,
  RamAccess,
} from "@peregrine/shared-state";
import type { ClientTls } from "@peregrine/transport";
import type { DowntimeBreakdown } from "./downtime.ts";

/** What the migration thread is to do. All of it survives structured clone. */
export interface ThreadData {
  readonly uri: string;
  /** On every connection. Undefined: none has TLS. */
  readonly tls: ClientTls | undefined;
  readonly capabilities: CapabilityStates;
  /** Of the MigrationParameters. */
  readonly parameters: SharedArrayBuffer;
  /** Of the MigrationStatistics. */
  readonly statistics: SharedArrayBuffer;
  /** Of the PassLog. */
  readonly passes: SharedArrayBuffer;
  /** Of the HandoverGate. */
  readonly gate: SharedArrayBuffer;
  readonly timeouts: MigrationTimeouts;
  /** What the destination is asked for beyond QEMU's protocol. */
  readonly extensions: Extensions;
}

/** How long the source waits. Milliseconds. */
export interface MigrationTimeouts {
  /** For a connection. */
  readonly connect: number;
  /** For the destination's word that the guest is loaded, after the last byte was sent. */
  readonly confirm: number;
  /** For the same word, after the source has taken the guest back. */
  readonly revoke: number;
  /** For a destination that has failed to give up the drives. */
  readonly reclaim: number;
  /**
   * For anything at all: from a destination that has promised to say now and then that it lives, and from the kernel of any
   * other.
   */
  readonly silence: number;
}

export interface SentDrives {
  readonly access: DriveAccess;
  /** Only what their own files hold. */
  readonly incremental: boolean;
}

/** From the main thread to the migration thread. */
export type MessageToThread =
  /** The first one, and the only one that a thread is waiting for when it was started ahead. */
  | { readonly kind: "run"; readonly data: ThreadData }
  /** The guest logs what it writes: begin the stream. Answers `connected`. */
  | {
      readonly kind: "begin";
      readonly ram: RamAccess;
      readonly opening: CarriedOpening;
      /** Drives whose contents are sent along. */
      readonly drives: SentDrives | undefined;
      /** Whether there are drives to be released before the stream ends. */
      readonly releasesDrives: boolean;
      /** Of a machine that may still be arriving itself. */
      readonly arrived: SharedArrayBuffer | undefined;
    }
  /** The guest stands still, and its last pages can be sent. Answers `stop-guest`. */
  | {
      readonly kind: "guest-stopped";
      /** Milliseconds that it stood still before the migration was continued. */
      readonly pauseTime: number;
      /** By which name the destination is offered the guest, if it is. */
      readonly migration: MigrationId | undefined;
    }
  /** Follows `guest-stopped`. */
  | { readonly kind: "devices-saved"; readonly closing: CarriedClosing }
  /** The destination can take the drives. Answers `release-drives`. */
  | { readonly kind: "drives-released" }
  /** Whether the destination is given the guest; if not, why. Answers `loaded`. */
  | { readonly kind: "decided"; readonly refusal: SerializedError | undefined }
  /** The parameters in shared memory have changed. */
  | { readonly kind: "parameters-changed" }
  /** Stop the guest for what is left, however much it is. */
  | { readonly kind: "switch-over" }
  /** Throttle the guest so that it can be sent. */
  | { readonly kind: "converge" }
  /** Give up: close the channel and end. */
  | { readonly kind: "abort"; readonly error: SerializedError }
  /** Take the guest back, if the destination has not accepted it. After the gate was passed. */
  | { readonly kind: "revoke" };

/** From the migration thread to the main thread. */
export type MessageToMain =
  | { readonly kind: "connected" }
  /** What becomes of the pages, for whoever wants to look. */
  | { readonly kind: "page-map"; readonly access: PageMapAccess }
  /** The destination has answered, or cannot: whether it takes part in a hand-over. */
  | { readonly kind: "agreed"; readonly handOver: boolean }
  /** The setup stage is sent. */
  | { readonly kind: "active" }
  /** A pass over guest memory begins. */
  | { readonly kind: "pass"; readonly pass: number }
  /** Keep the guest from running for this percentage of the time. */
  | { readonly kind: "throttle"; readonly percentage: number }
  | { readonly kind: "stop-guest" }
  /** Nothing of the drives is read any more. */
  | { readonly kind: "release-drives" }
  /** The destination has loaded everything, and asks who has the guest; or a file has everything and is to be finished. */
  | { readonly kind: "loaded"; readonly into: "destination" | "file" }
  /** The last message: the channel is closed. */
  | { readonly kind: "ended"; readonly outcome: ThreadOutcome };

/** A migration that has completed. */
export interface Handover {
  readonly downtime: DowntimeBreakdown;
  /** The destination has said that it has everything. Otherwise it was sent, and nobody was to answer. */
  readonly confirmed: boolean;
}

export type ThreadOutcome =
  | { readonly kind: "handed-over"; readonly handover: Handover }
  | {
      readonly kind: "failed";
      readonly error: SerializedError;
      /** The destination does not have the guest, and never will by what it was told. */
      readonly lacksGuest: boolean;
    };
