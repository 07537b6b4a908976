import { MigrationError } from "@peregrine/protocol";
import type { RunControl, RunState } from "@peregrine/shared-state";

/** What has become of a guest that is this side's. */
export type StartedGuest =
  /** With an error it stands still, which it did not at the source. */
  | { readonly kind: "here"; readonly runState: RunState; readonly error?: MigrationError }
  | { readonly kind: "lost"; readonly error: MigrationError };

export interface StartArrivedOptions {
  readonly runControl: RunControl;
  /** Tells the network where the guest is now. */
  readonly announce: (() => void) | undefined;
  /** The channel is not needed any more. */
  readonly closeChannel: () => void;
}

/** Has a guest announced and started that is this side's. Never rejects. */
export async function startArrived(options: StartArrivedOptions): Promise<StartedGuest> {
  const { runControl } = options;
  try {
    await announceAndStart(options);
    return { kind: "here", runState: runControl.state };
  } catch (cause) {
    const error = MigrationError.from(cause, "LOAD_FAILED");
    const runState = runControl.state;
    // A guest that has everything but its drives is not lost.
    if (runState === "paused" || runState === "prelaunch") return { kind: "here", runState, error };
    return { kind: "lost", error };
  }
}

async function announceAndStart({ runControl, announce, closeChannel }: StartArrivedOptions): Promise<void> {
  announce?.();
  // The drives are taken over first, before the guest can write to them.
  const arrived = runControl.arrive();
  // The guest stands still, and nobody waits for the end of the channel but what takes longer than to start it.
  setImmediate(closeChannel);
  await arrived;
}
