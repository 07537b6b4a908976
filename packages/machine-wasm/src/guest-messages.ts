import type { SerializedError } from "@peregrine/protocol";
import type { GuestExit } from "@peregrine/shared-state";
import type { ArrivalDirectories } from "./arrival-directories.ts";
import type { RewrittenInfo } from "./rewrite/rewritten.ts";
import type { HeldFiles, WasiConfig, WasiState } from "./wasi/index.ts";

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

/** Largest stack of a guest thread. It takes address space at once, memory only as far as it is used. */
export const LARGEST_STACK_MIB = 4096;

/** What a guest thread hands over to one with a larger stack, besides what both share. */
export interface ThreadState {
  readonly cpu: CpuState;
  readonly wasi: WasiState;
  readonly files: HeldFiles;
  readonly variant: Variant;
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
      readonly directories: ArrivalDirectories;
    }
  /**
   * Restores a guest that is still to arrive as it was a while ago, and forgets it again: what is done while it stands still
   * is then not done for the first time. Answered by ready or failed.
   */
  | { readonly kind: "rehearse"; readonly wasi: WasiState; readonly directories: ArrivalDirectories }
  /** Goes on with the guest of another thread of this process. Answered by ready or failed. */
  | { readonly kind: "take-over"; readonly state: ThreadState }
  /** Runs, from the beginning or where it was stopped. */
  | { readonly kind: "run" }
  /** Changes the variant of a guest that does not run. Answered by stopped or failed. */
  | { readonly kind: "use"; readonly variant: Variant }
  /** Takes a snapshot of a guest that does not run. Answered by stopped or failed. */
  | { readonly kind: "capture" };

/** Guest thread to agent. */
export type GuestReport =
  /** The thread is up and the program is instantiated. */
  | { readonly kind: "created" }
  | { readonly kind: "ready" }
  /** What was asked for could not be done. A guest that was to be stopped is stopped; one that was to be switched runs on. */
  | { readonly kind: "failed"; readonly error: SerializedError }
  /** The guest could not be resumed on this thread's stack, and is to go on on a larger one. */
  | { readonly kind: "out-of-stack"; readonly state: ThreadState }
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
