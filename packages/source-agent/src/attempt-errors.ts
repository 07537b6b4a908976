import { MigrationError } from "@peregrine/protocol";
import type { GuestExit } from "@peregrine/shared-state";

export function cancelled(): MigrationError {
  return new MigrationError("CANCELLED", "The migration was cancelled");
}

export function undecided(reason: MigrationError): MigrationError {
  const text =
    `The guest was given away, and nobody answered: ${reason.message}. It stands still here. ` +
    "Look at the other side with peregrine info, and then tell this one with peregrine resolve";
  return new MigrationError("UNDECIDED", text, { cause: reason });
}

export function guestEnded(exit: GuestExit): MigrationError {
  const how = exit.kind === "exit" ? `with exit status ${exit.status}` : `by a trap: ${exit.message}`;
  return new MigrationError("GUEST_ENDED", `The guest ended during the migration, ${how}`);
}

export function withNotes(error: MigrationError, notes: readonly string[]): MigrationError {
  if (notes.length === 0) return error;
  return new MigrationError(error.code, [error.message, ...notes].join("; "), { cause: error });
}

export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
