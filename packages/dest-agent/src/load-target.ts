import type { GuestRam, StateValue } from "@peregrine/shared-state";

/** The machine that a stream is loaded into, as the loader sees it. */
export interface LoadTarget {
  /** Loads one device; the next one is handed over when it is loaded. Errors: DEVICE_STATE. */
  loadDevice(name: string, instance: number, value: StateValue): Promise<void>;
  /** Guest memory. Called once, when every early device is loaded. */
  openRam(): Promise<GuestRam>;
  /** Resolves when the machine needs nothing any more but the late devices. Called once, after `openRam`. */
  prepared(): Promise<void>;
  /**
   * Everything is loaded: leave to tell the source so. The guest may belong to this side from then on,
   * so nobody can call the load off any more. Rejects when somebody did before.
   */
  commit(): Promise<void>;
}
