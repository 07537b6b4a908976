import type { PageKernel } from "./page-kernel.ts";
import { TypeScriptPageKernel } from "./typescript-kernel.ts";
import { hasWasmKernels, WasmPageKernel } from "./wasm-kernel.ts";

/**
 * Opens the kernels that this engine can run.
 * @param bytes of work memory: `workMemoryBytes` of the parts that will be taken. What is never used takes no memory.
 */
export function openPageKernel(bytes: number): PageKernel {
  return hasWasmKernels() ? new WasmPageKernel(bytes) : new TypeScriptPageKernel(bytes);
}
