export { errnoName, errnoNumber, HostError } from "./errno.ts";
export type { ErrnoName } from "./errno.ts";
export * from "./host.ts";
export * from "./state.ts";
export { BLOCKING_IMPORTS, SUPPORTED_IMPORTS } from "./import-names.ts";
export { WasiHost } from "./wasi-host.ts";
export type { HostFunction, WasiHostDependencies, WasiHostOptions } from "./wasi-host.ts";
export type { ResolvePreopen } from "./reopen.ts";
