export { NodeClock } from "./host-clock.ts";
export { ConsoleInput, GuestConsole } from "./host-console.ts";
export { NodeFiles } from "./host-files.ts";
export { NodeRandom } from "./host-random.ts";
