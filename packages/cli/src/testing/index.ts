export { usePeregrine } from "./peregrine-process.ts";
export type { TestProcess } from "./peregrine-process.ts";
export { virtualMachineStream, VM_BLOCK } from "./virtual-machine-stream.ts";
