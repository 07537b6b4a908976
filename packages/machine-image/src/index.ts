export { ImageMachine } from "./image-machine.ts";
export type { ImageSummary } from "./image-summary.ts";
