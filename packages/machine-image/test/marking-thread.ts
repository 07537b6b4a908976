/** Marks pages as fast as it can, as a thread that writes them would. */
import { workerData } from "node:worker_threads";
import { Backlog } from "../src/backlog.ts";
import { PageLog } from "../src/page-log.ts";

/** What the thread is started with. */
export interface MarkingTask {
  readonly pages: number;
  readonly log: SharedArrayBuffer;
  readonly backlog: SharedArrayBuffer;
  readonly marks: number;
  /** 1 when all marks are made. */
  readonly done: Int32Array;
}

const { pages, log, backlog, marks, done } = workerData as MarkingTask;
const marked = new PageLog(pages, log, new Backlog(backlog));
for (let n = 0; n < marks; n++) marked.mark((n * 7) % (pages - 2), 1 + (n % 3));
Atomics.store(done, 0, 1);
