export { ImageMachine } from "./image-machine.ts";
export type { ImageMachineOptions } from "./image-machine.ts";
export type { ImageArrival, ImageSummary } from "./image-summary.ts";
