import type { GuestControl, GuestMemorySource, HostClock, HostConsole, HostFiles, HostRandom } from "./host.ts";
import type { Preopen, WasiConfig, WasiState } from "./state.ts";

export interface WasiHostDependencies {
  readonly memory: GuestMemorySource;
  readonly files: HostFiles;
  readonly clock: HostClock;
  readonly random: HostRandom;
  readonly console: HostConsole;
  readonly control: GuestControl;
}

/**
 * Where a directory that arrived with a guest is on this host; undefined refuses it.
 * Without one, it is taken to be at the same path as at the source.
 */
export type ResolvePreopen = (preopen: Preopen) => string | undefined;

/** A fresh guest has a `config`, one that arrived has a `restored` state. */
export type WasiHostOptions = WasiHostDependencies &
  (
    | { readonly config: WasiConfig }
    | { readonly restored: WasiState; readonly resolvePreopen?: ResolvePreopen }
  );

/** The host functions of WASI preview1 for one guest, with all their state. */
export declare class WasiHost {
  /** Errors: DEVICE_STATE naming every directory and file that cannot be opened; NO_SUCH_FILE for a fresh guest. */
  constructor(options: WasiHostOptions);
  /** The functions of module `wasi_snapshot_preview1`. */
  readonly imports: Readonly<Record<string, (...args: never[]) => unknown>>;
  /** All state, between two host calls. The host can go on afterwards. */
  capture(): WasiState;
  /** Why the guest cannot be moved as it is now, one sentence each; empty when it can. */
  unmovable(): string[];
  /** Tries to open everything `state` names and closes it again. Errors: DEVICE_STATE, listing all problems. */
  static check(state: WasiState, files: HostFiles, resolvePreopen?: ResolvePreopen): void;
  /** Closes every host file. */
  dispose(): void;
}
