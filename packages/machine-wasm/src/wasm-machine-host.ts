import type { ConsoleSource } from "./console-source.ts";
import type { GuestDrives } from "./guest-drives.ts";
import type { CompiledProgram, GuestThread, GuestThreadData } from "./guest-messages.ts";
import type { HostFiles } from "./wasi/index.ts";

/** What the machine needs from the host it runs on. */
export interface WasmMachineHost {
  /**
   * Told of a guest's memory before it is used, and how many bytes it can have at most. What the host does about that is
   * its own affair; the memory works without.
   */
  adviseMemory?(memory: WebAssembly.Memory, maximumBytes: number): Promise<void>;
  /** Errors: NOT_WASM. */
  validate(module: Uint8Array): Promise<void>;
  /** Rewrites and compiles. Errors: NOT_WASM, UNSUPPORTED_FEATURE. */
  prepare(module: Uint8Array): Promise<CompiledProgram>;
  startThread(data: GuestThreadData, stackMib: number): GuestThread;
  /** With the guest's drives among them. */
  readonly files: HostFiles;
  readonly drives?: GuestDrives | undefined;
  readonly input: ConsoleSource;
}
