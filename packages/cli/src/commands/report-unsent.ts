import type { MigrationStatus } from "@peregrine/shared-state";
import type { AgentEnd } from "../agent-end.ts";
import { printOutcome } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

/**
 * Prints how the migration of a guest has ended that a relay has not got, and so not sent on, as far as {@link reportEnd}
 * does not.
 * @param status of what was sent on.
 */
export function reportUnsent(end: AgentEnd, status: MigrationStatus, json: boolean): void {
  if (end.kind === "load-failed") {
    const { code, message } = end.error;
    const outcome: Outcome = { status: code === "CANCELLED" ? "cancelled" : "failed", code, message };
    if (json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
    return;
  }
  if (status === "none") return;
  const message = "The migration was cancelled; the guest stays at its source";
  printOutcome({ status: "cancelled", code: "CANCELLED", message }, json);
}
