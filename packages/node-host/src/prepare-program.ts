import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { CompiledProgram, Rewritten } from "@peregrine/machine-wasm";
import { MigrationError, type SerializedError } from "@peregrine/protocol";
import { defaultCacheDirectory, ProgramCache } from "./program-cache.ts";

export interface RewriteTask {
  readonly module: Uint8Array;
  readonly releaseMarks: boolean;
}

export type RewriteAnswer =
  | { readonly kind: "rewritten"; readonly rewritten: Rewritten }
  | { readonly kind: "failed"; readonly error: SerializedError };

/** These processors let a later store be seen before an earlier one, so a mark must be a release store. */
const REORDERS_STORES = process.arch !== "x64" && process.arch !== "ia32";

const VARIANT = REORDERS_STORES ? "release" : "plain";

/** Whether a module is in the cache, so that it starts at once. */
export async function isRewritten(
  module: Uint8Array,
  cache = new ProgramCache(defaultCacheDirectory()),
): Promise<boolean> {
  return (await cache.get(module, VARIANT)) !== undefined;
}

/**
 * Validates, rewrites and compiles a module.
 * Errors: NOT_WASM when the engine refuses the bytes, UNSUPPORTED_FEATURE.
 */
export async function prepareProgram(
  module: Uint8Array,
  cache: ProgramCache | undefined,
): Promise<CompiledProgram> {
  let rewritten = await cache?.get(module, VARIANT);
  if (rewritten === undefined) {
    await validateProgram(module);
    rewritten = await rewriteInWorker({ module, releaseMarks: REORDERS_STORES });
    await cache?.put(module, VARIANT, rewritten);
  }
  const [plain, tracked] = await Promise.all([
    WebAssembly.compile(rewritten.plain),
    WebAssembly.compile(rewritten.tracked),
  ]);
  return { plain, tracked, info: rewritten.info };
}

/** Errors: NOT_WASM with the engine's reason. */
export async function validateProgram(module: Uint8Array): Promise<void> {
  await compileProgram(module);
}

/** Compiles a module as it is. Errors: NOT_WASM with the engine's reason. */
export async function compileProgram(module: Uint8Array): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(module);
  } catch (cause) {
    const reason =
      cause instanceof Error ? cause.message.replace(/^WebAssembly\.compile\(\): /, "") : String(cause);
    throw new MigrationError("NOT_WASM", `The program is not a valid WebAssembly module: ${reason}`, {
      cause,
    });
  }
}

async function rewriteInWorker(task: RewriteTask): Promise<Rewritten> {
  const worker = new Worker(new URL("rewrite-worker.ts", import.meta.url), { workerData: task });
  try {
    const [answer] = (await once(worker, "message")) as [RewriteAnswer];
    if (answer.kind === "failed") throw MigrationError.deserialize(answer.error);
    return answer.rewritten;
  } finally {
    await worker.terminate();
  }
}
