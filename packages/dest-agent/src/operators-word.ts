import { MigrationError } from "@peregrine/protocol";
import type { DecidedGuest } from "./decided-guest.ts";
import type { IncomingPhase } from "./incoming-phase.ts";
import type { LoadedMachine } from "./loaded-machine.ts";
import type { PhaseKeeper } from "./phase-keeper.ts";

/** A guest that an operator decides about, as nobody else will. */
export interface GuestInDoubt {
  readonly phases: PhaseKeeper;
  readonly decided: DecidedGuest;
  readonly loaded: LoadedMachine;
}

type Undecided = Extract<IncomingPhase, { readonly kind: "undecided" }>;

/** Errors: WRONG_STATE when nothing is undecided. */
export function requireUndecided({ current }: PhaseKeeper): Undecided {
  if (current.kind === "undecided") return current;
  const text = "It is known here who has the guest: there is nothing to resolve";
  throw new MigrationError("WRONG_STATE", text);
}

/** The guest is elsewhere. Errors: WRONG_STATE. */
export async function recordGone({ phases, decided }: GuestInDoubt): Promise<void> {
  requireUndecided(phases);
  await decided.taking?.hear("resolved-gone");
}

/**
 * The guest is to run here. It is committed to that, with its drives locked, or stands still as before.
 * Errors: WRONG_STATE; STORE_FAILED when that cannot be recorded; those of the drives.
 */
export async function recordOwner(guest: GuestInDoubt): Promise<void> {
  requireUndecided(guest.phases);
  await guest.loaded.lock();
  try {
    await recordLocked(guest);
  } catch (error) {
    await guest.loaded.unlock();
    throw error;
  }
}

async function recordLocked({ phases, decided }: GuestInDoubt): Promise<void> {
  // It may have been closed while its drives were being locked. It is not while that is being recorded.
  const before = requireUndecided(phases);
  phases.current = { kind: "committed", peer: before.peer };
  await decided.taking?.hear("resolved-owner");
  if (decided.owns) return;
  phases.current = before;
  throw new MigrationError("STORE_FAILED", "That the guest is here cannot be recorded on this host");
}
