import type { SerializedError } from "@peregrine/protocol";
import type { GuestExit } from "@peregrine/shared-state";
import type { RewrittenInfo } from "./rewrite/rewrite.ts";
import type { Preopen, WasiConfig, WasiState } from "./wasi/index.ts";

/** A rewritten module, compiled. Survives structured clone between threads. */
export interface CompiledProgram {
  readonly plain: WebAssembly.Module;
  readonly tracked: WebAssembly.Module;
  readonly info: RewrittenInfo;
}

/** What a guest thread is created with. */
export interface GuestThreadData {
  readonly program: CompiledProgram;
  readonly memory: WebAssembly.Memory;
  readonly control: WebAssembly.Memory;
}

export type Variant = "plain" | "tracked";

/** State of the virtual processor outside of the two memories. */
export interface CpuState {
  /** Mutable globals as the module saves them. */
  readonly globals: Uint8Array;
  /** For each table whose content can change: function indexes, -1 for null. */
  readonly tables: readonly Int32Array[];
}

/** Everything of a guest that is stopped, but its memories. */
export interface GuestSnapshot {
  readonly cpu: CpuState;
  readonly wasi: WasiState;
  /** Why it cannot be moved as it is now: one sentence for each open file that no other host could open. */
  readonly unmovable: readonly string[];
}

/** Agent to guest thread. */
export type GuestCommand =
  /** Makes a fresh guest. Answered by ready or failed. */
  | { readonly kind: "create"; readonly config: WasiConfig }
  /** Makes a guest that arrived; its frames are in the control memory. Answered by ready or failed. */
  | {
      readonly kind: "restore";
      readonly cpu: CpuState;
      readonly wasi: WasiState;
      /** Where directories are on this host, if elsewhere than at the source. */
      readonly preopens: readonly Preopen[];
    }
  /** Runs, from the beginning or where it was stopped. */
  | { readonly kind: "run"; readonly variant: Variant }
  /** Takes a snapshot of a guest that does not run. Answered by stopped. */
  | { readonly kind: "capture" };

/** Guest thread to agent. */
export type GuestReport =
  /** The thread is up and the program is instantiated. */
  | { readonly kind: "created" }
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly error: SerializedError }
  /** The request to use another variant was carried out; the guest runs on. */
  | { readonly kind: "switched"; readonly snapshot: GuestSnapshot }
  | { readonly kind: "stopped"; readonly snapshot: GuestSnapshot }
  | { readonly kind: "exited"; readonly exit: GuestExit };

/** The thread that runs the guest, as the agent sees it. Made by the host: a worker, whatever that is there. */
export interface GuestThread {
  post(command: GuestCommand): void;
  onReport(listener: (report: GuestReport) => void): void;
  /** The thread ended without a report. */
  onFailure(listener: (error: Error) => void): void;
  terminate(): Promise<void>;
}
