import type { ConsoleInput } from "./console-input.ts";
import type { DescriptorTable } from "./descriptors.ts";
import type { GuestClock } from "./guest-clock.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { GuestControl, HostConsole, HostFiles, HostHandle, HostRandom } from "./host.ts";
import type { Preopen } from "./state.ts";

/** A preopened directory, open as long as the guest lives, whatever the guest closes. */
export interface Root extends Preopen {
  readonly handle: HostHandle;
}

/** What the host functions share. */
export interface WasiContext {
  readonly memory: GuestMemory;
  readonly files: HostFiles;
  readonly console: HostConsole;
  readonly input: ConsoleInput;
  readonly clock: GuestClock;
  readonly random: HostRandom;
  readonly control: GuestControl;
  readonly table: DescriptorTable;
  readonly roots: readonly Root[];
  /** UTF-8, without the final zero byte. */
  readonly args: readonly Uint8Array[];
  readonly env: readonly Uint8Array[];
  /** Guest monotonic time at which the `poll_oneoff` that was unwound began. */
  pollStartedNs: bigint | undefined;
  exitStatus: number | undefined;
}

/**
 * One host function: returns for success, throws {@link HostError} for an error number. Arguments
 * are unsigned: i32 as number, i64 as bigint.
 */
export type HostCall = (...args: never[]) => void;

export type HostCalls = Readonly<Record<string, HostCall>>;
