export * from "./wasi/index.ts";
export { rewrite, REWRITER_REVISION, REWRITER_VERSION } from "./rewrite/rewrite.ts";
export type { RewriteOptions } from "./rewrite/rewrite.ts";
export type { Rewritten, RewrittenInfo } from "./rewrite/rewritten.ts";
export type {
  CompiledProgram,
  GuestCommand,
  GuestReport,
  GuestThread,
  GuestThreadData,
} from "./guest-messages.ts";
export { GuestProgram } from "./guest-program.ts";
export type { GuestHost } from "./guest-program.ts";
export { NO_DIRECTORIES } from "./arrival-directories.ts";
export type { ArrivalDirectories } from "./arrival-directories.ts";
export { checkSetup } from "./setup-check.ts";
export { WasmMachine } from "./wasm-machine.ts";
export type { FreshGuest } from "./wasm-machine.ts";
export type { WasmMachineHost } from "./wasm-machine-host.ts";
export type { ConsoleSource, UnreadInput } from "./console-source.ts";
export { DRIVE_ID, MAX_DRIVES } from "./guest-drives.ts";
export type { GuestDrives } from "./guest-drives.ts";
export { FixedMachine } from "./fixed-machine.ts";
export type { FixedGuest, FixedMachineHost, FixedThread } from "./fixed-machine.ts";
export { newShadows, TypeScriptDirtyLog } from "./dirty-log.ts";
export type { DirtyLog, LoggedMemory } from "./dirty-log.ts";
export { openDirtyLog } from "./wasm-dirty-log.ts";
export { CONTROL } from "./rewrite/control-layout.ts";
