/**
 * Rewrites one module, in a process that has not done so before, as the agent does for a program that is not in its cache. Prints
 * how long that took and what came out, as JSON.
 *
 *     node rewrite-run.ts MODULE
 */
import { readFileSync } from "node:fs";
import { BLOCKING_IMPORTS, rewrite, SUPPORTED_IMPORTS } from "@peregrine/machine-wasm";

export interface RewriteFigures {
  readonly seconds: number;
  /** Bytes of the module and of its two variants. */
  readonly original: number;
  readonly plain: number;
  readonly tracked: number;
}

const module = new Uint8Array(readFileSync(process.argv[2]!));
const started = performance.now();
const { plain, tracked } = rewrite(module, {
  supportedImports: SUPPORTED_IMPORTS,
  blockingImports: BLOCKING_IMPORTS,
  releaseMarks: false,
});
const figures: RewriteFigures = {
  seconds: (performance.now() - started) / 1000,
  original: module.length,
  plain: plain.length,
  tracked: tracked.length,
};
console.log(JSON.stringify(figures));
