/** Rewrites one module, away from the agent's main thread. */
import { parentPort, workerData } from "node:worker_threads";
import { MigrationError } from "@peregrine/protocol";
import { BLOCKING_IMPORTS, rewrite, SUPPORTED_IMPORTS } from "@peregrine/machine-wasm";
import type { RewriteAnswer, RewriteTask } from "./prepare-program.ts";

const { module, releaseMarks } = workerData as RewriteTask;
let answer: RewriteAnswer;
try {
  const options = { supportedImports: SUPPORTED_IMPORTS, blockingImports: BLOCKING_IMPORTS, releaseMarks };
  answer = { kind: "rewritten", rewritten: rewrite(module, options) };
} catch (error) {
  answer = { kind: "failed", error: MigrationError.from(error).serialize() };
}
parentPort!.postMessage(answer);
