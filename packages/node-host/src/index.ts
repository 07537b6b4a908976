export { NodeClock } from "./host-clock.ts";
export { ConsoleInput, NodeConsole } from "./host-console.ts";
export { NodeFiles } from "./host-files.ts";
export { NodeRandom } from "./host-random.ts";
