import { MigrationError } from "@peregrine/protocol";
import type { MachineDrives } from "@peregrine/shared-state";
import { setTimeout as delay } from "node:timers/promises";
import { now } from "./clock.ts";

/** Milliseconds between two tries. */
const AGAIN_MS = 20;

/**
 * Takes drives back whose locks the destination may still hold: it has given up the guest, or is about to, and gives
 * them up in consequence. Nothing tells when.
 * @param patience milliseconds to wait for that.
 * Errors: DRIVE_LOCKED.
 */
export async function reclaimDrives(drives: MachineDrives, patience: number): Promise<void> {
  const until = now() + patience;
  for (;;) {
    try {
      await drives.reclaim();
      return;
    } catch (error) {
      if (MigrationError.from(error).code !== "DRIVE_LOCKED" || now() >= until) throw error;
    }
    await delay(AGAIN_MS);
  }
}
