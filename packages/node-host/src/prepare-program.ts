import { once } from "node:events";
import { setInterval } from "node:timers/promises";
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

const MIB = 2 ** 20;

/** What rewriting may take. */
export interface RewriteLimits {
  /** Of a processor, not of the clock. */
  readonly seconds: number;
  /** For objects, and as many for the arrays outside of them. */
  readonly mebibytes: number;
}

/**
 * Several times as much as programs that compilers make need for each of their bytes: some that are valid would take all of
 * a host for the smallest ones.
 */
function rewriteLimits(moduleBytes: number): RewriteLimits {
  const mebibytes = Math.ceil(moduleBytes / MIB);
  return { seconds: 30 + 10 * mebibytes, mebibytes: 256 + 64 * mebibytes };
}

/**
 * Rewrites in a thread of its own, which is ended when it takes too much. Errors: UNSUPPORTED_FEATURE; LIMIT_EXCEEDED.
 * @param limits Default: by the length of the module.
 */
export async function rewriteInWorker(
  task: RewriteTask,
  limits: RewriteLimits = rewriteLimits(task.module.length),
): Promise<Rewritten> {
  const worker = new Worker(new URL("rewrite-worker.ts", import.meta.url), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: limits.mebibytes },
  });
  const watch = new AbortController();
  try {
    const answer = await Promise.race([
      answerOf(worker, limits),
      requireWithin(worker, limits, watch.signal),
    ]);
    if (answer.kind === "failed") throw MigrationError.deserialize(answer.error);
    return answer.rewritten;
  } finally {
    watch.abort();
    await worker.terminate();
  }
}

async function answerOf(worker: Worker, { mebibytes }: RewriteLimits): Promise<RewriteAnswer> {
  try {
    const [answer] = (await once(worker, "message")) as [RewriteAnswer];
    return answer;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ERR_WORKER_OUT_OF_MEMORY")
      throw takesTooMuch(`${mebibytes} MiB of memory`);
    throw cause;
  }
}

/** How often it is looked. Milliseconds. */
const WATCH_MS = 100;

/** Never resolves. Errors: LIMIT_EXCEEDED. */
async function requireWithin(
  worker: Worker,
  { seconds, mebibytes }: RewriteLimits,
  signal: AbortSignal,
): Promise<never> {
  const ticks = setInterval(WATCH_MS, undefined, { signal });
  while (
    await ticks.next().then(
      () => true,
      () => false,
    )
  ) {
    const use = await useOf(worker);
    if (use.externalBytes > mebibytes * MIB) throw takesTooMuch(`${mebibytes} MiB of memory`);
    if (use.seconds > seconds) throw takesTooMuch(`${seconds} s`);
  }
  return new Promise<never>(() => {});
}

/** What a thread takes; nothing while it is not there yet, or no longer. */
async function useOf(worker: Worker): Promise<{ externalBytes: number; seconds: number }> {
  try {
    const [heap, { user, system }] = await Promise.all([worker.getHeapStatistics(), worker.cpuUsage()]);
    return { externalBytes: heap.external_memory, seconds: (user + system) / 1e6 };
  } catch {
    return { externalBytes: 0, seconds: 0 };
  }
}

function takesTooMuch(what: string): MigrationError {
  return new MigrationError(
    "LIMIT_EXCEEDED",
    `The program cannot be migrated: to rewrite it takes more than ${what}, far more than programs of its size need`,
  );
}
