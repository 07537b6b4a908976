export { nodeFixedHost } from "./fixed-host.ts";
export { NodeClock } from "./host-clock.ts";
export { ConsoleInput, GuestConsole } from "./host-console.ts";
export { NodeFiles } from "./host-files.ts";
export { NodeRandom } from "./host-random.ts";
export { nodeWasmHost } from "./node-wasm-host.ts";
export type { NodeWasmHostOptions } from "./node-wasm-host.ts";
export { defaultCacheDirectory } from "./program-cache.ts";
