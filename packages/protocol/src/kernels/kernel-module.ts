/**
 * Compiles a kernel.
 * @param base64 a module as `kernels/build.ts` writes it.
 * @returns undefined where this engine cannot run it: its twin in TypeScript does the same.
 */
export function kernelModule(base64: string): WebAssembly.Module | undefined {
  if (typeof WebAssembly === "undefined") return undefined;
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return WebAssembly.validate(bytes) ? new WebAssembly.Module(bytes) : undefined;
}
