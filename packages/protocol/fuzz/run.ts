import { setInterval } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { ScriptCoverage } from "./coverage-recorder.ts";
import type { MemoryUse } from "./held-memory.ts";
import { TARGETS } from "./targets.ts";
import type { Target } from "./targets.ts";
import type { FuzzEnd, FuzzJob } from "./worker.ts";

/** Seconds of processor time, not of the clock: a run takes milliseconds, and a busy machine is no hang. */
const HANG_SECONDS = 10;
/** Seconds of the clock after which a run waits for something that never comes. */
const WAIT_SECONDS = 60;
/** For objects: far more than the limits allow, and the recordings besides. */
const HEAP_MIB = 256;
const WATCH_MS = 200;

export interface FuzzOptions {
  /** Time for all targets together. */
  readonly seconds: number;
  readonly seed: number;
  /** Default: all of them. */
  readonly target?: string | undefined;
  /** Repeats one run of the target. */
  readonly path?: string | undefined;
  /** Default: 10. */
  readonly hangSeconds?: number;
  /** Default: 256. */
  readonly heapMib?: number;
  /** Part of the URLs of the scripts whose coverage is told. Default: of none. */
  readonly covered?: string;
  /** Default: the decoders of this package. */
  readonly targets?: { readonly url: string; readonly list: readonly Target[] };
}

/** An input that broke a rule. Seed and path make it again. */
interface Finding {
  readonly kind: "failure" | "crash" | "hang" | "memory";
  readonly path: string;
  readonly text: string;
}

export interface FuzzResult {
  readonly target: string;
  readonly runs: number;
  readonly finding: Finding | undefined;
  /** Undefined behind what ends the thread. */
  readonly memory: MemoryUse | undefined;
  readonly coverage: readonly ScriptCoverage[];
}

interface Work {
  readonly finding: Finding | undefined;
  readonly end?: FuzzEnd;
}

/** Fuzzes one target after the other, each in a thread that is ended when it hangs or takes too much memory. */
export async function* fuzz(options: FuzzOptions): AsyncGenerator<FuzzResult> {
  const { url, list } = options.targets ?? {
    url: new URL("./targets.ts", import.meta.url).href,
    list: TARGETS,
  };
  const chosen = list.filter(({ name }) => options.target === undefined || name === options.target);
  const shares = chosen.reduce((sum, { share }) => sum + share, 0);
  for (const { name, share } of chosen) {
    const runs = new Int32Array(new SharedArrayBuffer(4));
    const job: FuzzJob = {
      targets: url,
      target: name,
      seconds: (options.seconds * share) / shares,
      seed: options.seed,
      path: options.path,
      covered: options.covered,
      runs,
    };
    const { finding, end } = await work(
      job,
      options.hangSeconds ?? HANG_SECONDS,
      options.heapMib ?? HEAP_MIB,
    );
    const { memory, coverage = [] } = end ?? {};
    yield { target: name, runs: Atomics.load(runs, 0), finding, memory, coverage };
  }
}

async function work(job: FuzzJob, hangSeconds: number, heapMib: number): Promise<Work> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: heapMib },
  });
  const ended = new Promise<Work>((resolve) => {
    worker.once("message", (end: FuzzEnd) => {
      const { failure } = end;
      const text = `${failure?.error}\n${failure?.input}`;
      resolve({ finding: failure && { kind: "failure", path: failure.path, text }, end });
    });
    worker.once("error", (error: NodeJS.ErrnoException) => {
      const path = presentRun(job);
      if (error.code !== "ERR_WORKER_OUT_OF_MEMORY") {
        // Outside of a run's own calls: nobody has caught it.
        resolve({ finding: { kind: "crash", path, text: error.stack ?? error.message } });
        return;
      }
      resolve({ finding: { kind: "memory", path, text: `more than ${heapMib} MiB of objects` } });
    });
  });
  const watch = new AbortController();
  // The watch ends with an error when there is nothing more to be watched.
  const hang = watchRuns(worker, job, hangSeconds, watch.signal).then(
    (finding) => ({ finding }),
    () => ended,
  );
  try {
    return await Promise.race([ended, hang]);
  } finally {
    watch.abort();
    await worker.terminate();
  }
}

/** Returns when one run has taken that much of a processor, or waits. */
async function watchRuns(
  worker: Worker,
  job: FuzzJob,
  seconds: number,
  signal: AbortSignal,
): Promise<Finding | undefined> {
  let run = 0;
  let begun = 0;
  let begunAt = performance.now();
  for await (const _ of setInterval(WATCH_MS, undefined, { signal })) {
    const { user, system } = await worker.cpuUsage();
    const used = (user + system) / 1e6;
    const present = Atomics.load(job.runs, 0);
    if (present !== run) {
      run = present;
      begun = used;
      begunAt = performance.now();
    } else if (run > 0 && performance.now() - begunAt > WAIT_SECONDS * 1000) {
      return { kind: "hang", path: presentRun(job), text: `one run waited for ${WAIT_SECONDS} s` };
    } else if (run > 0 && used - begun > seconds) {
      return { kind: "hang", path: presentRun(job), text: `one run took ${seconds} s of a processor` };
    }
  }
  return undefined;
}

/** The path of the run that was begun last. */
function presentRun({ path, runs }: FuzzJob): string {
  return path ?? String(Atomics.load(runs, 0) - 1);
}
