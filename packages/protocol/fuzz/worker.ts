import { parentPort, workerData } from "node:worker_threads";
import * as fc from "fast-check";
import { CoverageRecorder } from "./coverage-recorder.ts";
import type { ScriptCoverage } from "./coverage-recorder.ts";
import { HeldMemory } from "./held-memory.ts";
import type { MemoryUse } from "./held-memory.ts";
import { Allocations } from "./oracle.ts";
import type { Target } from "./targets.ts";

/** What a worker is told. */
export interface FuzzJob {
  /** URL of the module that has the targets, as `TARGETS`. */
  readonly targets: string;
  readonly target: string;
  readonly seconds: number;
  readonly seed: number;
  /** The place of one run in what the seed gives; then there is no other run. */
  readonly path: string | undefined;
  /** Part of the URLs of the scripts whose coverage is told. Undefined: of none. */
  readonly covered: string | undefined;
  /** One word: runs that were begun. */
  readonly runs: Int32Array;
}

/** What a worker tells at its end. */
export interface FuzzEnd {
  readonly failure: { readonly path: string; readonly input: string; readonly error: string } | undefined;
  readonly coverage: readonly ScriptCoverage[];
  readonly memory: MemoryUse;
}

const job = workerData as FuzzJob;
const recorder = job.covered === undefined ? undefined : await CoverageRecorder.start(job.covered);
const { TARGETS } = (await import(job.targets)) as { readonly TARGETS: readonly Target[] };
const allocations = new Allocations();
allocations.install();
const target = TARGETS.find(({ name }) => name === job.target)!;
const property = (await target.property(allocations)) as fc.IAsyncPropertyWithHooks<unknown>;
const memory = new HeldMemory(target.mostHeld);
property.beforeEach(() => {
  Atomics.add(job.runs, 0, 1);
});
const details = await fc.check(memory.watched(property), {
  seed: job.seed,
  numRuns: 2 ** 31 - 1,
  interruptAfterTimeLimit: job.seconds * 1000,
  markInterruptAsFailure: false,
  ...(job.path === undefined ? {} : { path: job.path, endOnFailure: true, numRuns: 1 }),
});
await target.end?.();
const end: FuzzEnd = {
  failure: details.failed
    ? {
        path: details.counterexamplePath ?? "0",
        input: fc.stringify(details.counterexample),
        error:
          details.errorInstance instanceof Error
            ? (details.errorInstance.stack ?? "")
            : String(details.errorInstance),
      }
    : undefined,
  coverage: (await recorder?.take()) ?? [],
  memory: memory.use,
};
parentPort!.postMessage(end);
