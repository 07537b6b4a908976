import type { MigrationError } from "@peregrine/protocol";
import type { Address } from "@peregrine/transport";
import type { IncomingProgress, IncomingResult, IncomingStatus } from "./incoming-result.ts";

/** How far an incoming migration is. */
export type IncomingPhase =
  /** Nothing was begun, or the last attempt to listen has failed. */
  | { readonly kind: "setup" }
  /** The thread is about to listen. */
  | { readonly kind: "opening" }
  | { readonly kind: "listening"; readonly address: Address }
  | { readonly kind: "active"; readonly peer: string }
  /**
   * That the guest is this side's is being recorded, and then the source is told that it has lost it: nobody can call the
   * load off any more.
   */
  | { readonly kind: "committed"; readonly peer: string }
  /** The source has been told. The thread has nothing more to say. */
  | { readonly kind: "arriving"; readonly peer: string }
  /**
   * Everything is loaded, and the connection broke before the source's decision was heard. The guest stands still until
   * an operator says who has it.
   */
  | { readonly kind: "undecided"; readonly peer: string; readonly error: MigrationError }
  /** The load was called off; the thread still tells the source. */
  | { readonly kind: "stopping"; readonly error: MigrationError }
  /** The thread has ended or is of no use any more. */
  | { readonly kind: "failing"; readonly error: MigrationError }
  | { readonly kind: "ended"; readonly result: IncomingResult };

/** The same for those who ask. */
export function statusOf(phase: IncomingPhase, progress: () => IncomingProgress): IncomingStatus {
  switch (phase.kind) {
    case "setup":
    case "listening":
      return phase;
    case "opening":
      return { kind: "setup" };
    case "active":
    case "committed":
    case "arriving":
      return { kind: "active", peer: phase.peer, progress: progress() };
    case "undecided":
      return { ...phase, progress: progress() };
    case "stopping":
    case "failing":
      return { kind: "failed", error: phase.error, progress: progress() };
    default:
      return phase.result;
  }
}
