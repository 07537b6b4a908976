import type { FixedGuest } from "@peregrine/machine-wasm";
import type { SerializedError } from "@peregrine/protocol";
import type { GuestExit } from "@peregrine/shared-state";
import type { DriveMemory } from "./drives/drive-memory.ts";
import type { ConsoleOutputs } from "./guest-worker-thread.ts";

/** Words of the memory that the agent and the thread of a fixed guest share. */
export const FIXED_WORD = {
  /** Counted up to wake a guest that waits. */
  wakes: 0,
  /** Size of the guest's memory in 64 KiB pages. */
  memoryPages: 1,
} as const;

/** What the thread is started with. */
export interface FixedWorkerData {
  readonly guest: FixedGuest;
  readonly words: SharedArrayBuffer;
  /** Console input; see ConsoleInput. */
  readonly input: SharedArrayBuffer;
  readonly outputs: ConsoleOutputs;
  readonly drives: readonly DriveMemory[];
}

/** Thread to agent. The agent posts one thing only, anything, which means: run. */
export type FixedReport =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly error: SerializedError }
  | { readonly kind: "exited"; readonly exit: GuestExit };
