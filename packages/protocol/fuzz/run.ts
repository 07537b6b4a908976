import { setInterval } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { TARGETS } from "./targets.ts";
import type { Target } from "./targets.ts";
import type { FuzzEnd, FuzzJob } from "./worker.ts";

/** Seconds of processor time, not of the clock: a run takes milliseconds, and a busy machine is no hang. */
const HANG_SECONDS = 10;
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
  /** Default: the decoders of this package. */
  readonly targets?: { readonly url: string; readonly list: readonly Target[] };
}

/** An input that broke a rule. Seed and path make it again. */
interface Finding {
  readonly kind: "failure" | "hang" | "memory";
  readonly path: string;
  readonly text: string;
}

export interface FuzzResult {
  readonly target: string;
  readonly runs: number;
  readonly finding: Finding | undefined;
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
      runs,
    };
    const finding = await work(job, options.hangSeconds ?? HANG_SECONDS, options.heapMib ?? HEAP_MIB);
    yield { target: name, runs: Atomics.load(runs, 0), finding };
  }
}

async function work(job: FuzzJob, hangSeconds: number, heapMib: number): Promise<Finding | undefined> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: heapMib },
  });
  const ended = new Promise<Finding | undefined>((resolve, reject) => {
    worker.once("message", ({ failure }: FuzzEnd) => {
      resolve(failure && { kind: "failure", path: failure.path, text: `${failure.error}\n${failure.input}` });
    });
    worker.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ERR_WORKER_OUT_OF_MEMORY") reject(error);
      else resolve({ kind: "memory", path: presentRun(job), text: `more than ${heapMib} MiB of objects` });
    });
  });
  const watch = new AbortController();
  // The watch ends with an error when there is nothing more to be watched.
  const hang = watchRuns(worker, job, hangSeconds, watch.signal).catch(() => ended);
  try {
    return await Promise.race([ended, hang]);
  } finally {
    watch.abort();
    await worker.terminate();
  }
}

/** Returns when one run has taken that much of a processor. */
async function watchRuns(
  worker: Worker,
  job: FuzzJob,
  seconds: number,
  signal: AbortSignal,
): Promise<Finding | undefined> {
  let run = 0;
  let begun = 0;
  for await (const _ of setInterval(WATCH_MS, undefined, { signal })) {
    const { user, system } = await worker.cpuUsage();
    const used = (user + system) / 1e6;
    const present = Atomics.load(job.runs, 0);
    if (present !== run) {
      run = present;
      begun = used;
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
