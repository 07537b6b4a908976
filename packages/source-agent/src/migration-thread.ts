/** The migration thread: the entry of the worker. */
import { MigrationError } from "@peregrine/protocol";
import { parentPort, workerData } from "node:worker_threads";
import { MainLink } from "./main-link.ts";
import { MigrationRun } from "./migration-run.ts";
import type { ThreadData, ThreadOutcome } from "./thread-messages.ts";

if (parentPort === null) throw new MigrationError("INTERNAL", "the migration thread is not a program");
const link = new MainLink(parentPort);
const run = new MigrationRun(workerData as ThreadData, link);
const outcome = await run.run().then(
  (handover): ThreadOutcome => ({ kind: "handed-over", handover }),
  (error: unknown): ThreadOutcome => ({
    kind: "failed",
    error: MigrationError.from(error).serialize(),
    refused: run.refused,
  }),
);
link.post({ kind: "ended", outcome });
link.close();
