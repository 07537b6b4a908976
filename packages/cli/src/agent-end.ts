import type { MigrationError } from "@peregrine/protocol";
import type { GuestExit } from "@peregrine/shared-state";
import { signalStatus } from "./host-signals.ts";
import type { EndingSignal } from "./host-signals.ts";

/** Why an agent ends. */
export type AgentEnd =
  /** The guest program ended. */
  | { readonly kind: "guest"; readonly exit: GuestExit }
  /** The guest runs at the destination now. */
  | { readonly kind: "moved" }
  /** A monitor's client said `quit`. */
  | { readonly kind: "quit" }
  | { readonly kind: "signal"; readonly signal: EndingSignal }
  /** No guest arrived. */
  | { readonly kind: "load-failed"; readonly error: MigrationError };

/** What a shell reports for a program that was aborted. */
const TRAP_STATUS = 134;

/** The exit status of the agent's process. A guest's own status is passed on. */
export function exitStatus(end: AgentEnd): number {
  switch (end.kind) {
    case "guest":
      return end.exit.kind === "exit" ? end.exit.status : TRAP_STATUS;
    case "signal":
      return signalStatus(end.signal);
    case "load-failed":
      return 1;
    case "moved":
    case "quit":
    default:
      return 0;
  }
}
