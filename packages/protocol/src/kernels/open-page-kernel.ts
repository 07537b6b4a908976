import type { PageKernel } from "./page-kernel.ts";
import { TypeScriptPageKernel } from "./typescript-kernel.ts";
import { hasWasmKernels, prepareGuestPages, WasmPageKernel } from "./wasm-kernel.ts";
import { runBytes, workMemoryBytes } from "./work-memory.ts";

/** Pages of a WebAssembly page. */
const REHEARSAL_PAGES = 16;
/** So often engines have compiled what is called with the best that they have, or are about to. */
const REHEARSALS = 400;

/**
 * Opens the kernels that this engine can run.
 * @param bytes of work memory: `workMemoryBytes` of the parts that will be taken. What is never used takes no memory.
 */
export function openPageKernel(bytes: number): PageKernel {
  return hasWasmKernels() ? new WasmPageKernel(bytes) : new TypeScriptPageKernel(bytes);
}

/**
 * Compiles the kernels in this thread, and has the ones that make records of a guest's pages do so a few times: engines compile
 * well only what has run for a while. It takes some milliseconds; nothing happens where the engine does not have them.
 */
export function preparePageKernels(): void {
  if (!hasWasmKernels()) return;
  prepareGuestPages();
  const memory = (): WebAssembly.Memory => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const kernel = new WasmPageKernel(workMemoryBytes([runBytes(REHEARSAL_PAGES)]));
  const out = kernel.take(runBytes(REHEARSAL_PAGES));
  const guest = kernel.openGuest(memory(), { memory: memory(), at: 0 });
  for (let n = 0; n < REHEARSALS; n++) {
    guest.encodeZeros(0, REHEARSAL_PAGES, 0, false, out);
    guest.encodeRun(0, REHEARSAL_PAGES, 0, false, out);
  }
}
