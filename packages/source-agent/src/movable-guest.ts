import { MigrationError } from "@peregrine/protocol";
import type { Machine, RunControl } from "@peregrine/shared-state";

/**
 * Whether the guest can be sent in the run state that it is in.
 * @param passesThrough whether it is sent on while it arrives, and is nobody's here.
 * Errors: WRONG_STATE, UNDECIDED.
 */
export function requireMovableGuest(run: RunControl, machine: Machine, passesThrough: boolean): void {
  run.requireDecided();
  switch (run.state) {
    case "inmigrate":
      // An image can be sent on as soon as its first part is here, and says why it is not.
      machine.carried?.opening();
      // What arrives here to stay may still be its source's.
      if (!passesThrough || machine.carried === undefined) {
        throw new MigrationError("WRONG_STATE", "Guest is waiting for an incoming migration");
      }
      return;
    case "postmigrate":
      throw new MigrationError(
        "WRONG_STATE",
        "Can't migrate the vm that was paused due to previous migration",
      );
    case "shutdown":
    case "internal-error":
      throw new MigrationError("WRONG_STATE", "The guest has ended: there is nothing to migrate");
    default:
  }
}
