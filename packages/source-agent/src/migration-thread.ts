/** The migration thread: the entry of the worker. */
import { MigrationError, preparePageKernels } from "@peregrine/protocol";
import { prepareConnections } from "@peregrine/transport";
import { parentPort, workerData } from "node:worker_threads";
import { MainLink } from "./main-link.ts";
import { MigrationRun } from "./migration-run.ts";
import type { ThreadOutcome } from "./thread-messages.ts";

if (parentPort === null) throw new MigrationError("INTERNAL", "the migration thread is not a program");
const link = new MainLink(parentPort);
void prepareConnections();
preparePageKernels();
const { ramModule } = workerData as { readonly ramModule?: string };
// What cannot be loaded shows when it is needed.
if (ramModule !== undefined) void import(ramModule).catch(() => {});
const { data } = await link.message("run");
const run = new MigrationRun(data, link);
const outcome = await run.run().then(
  (handover): ThreadOutcome => ({ kind: "handed-over", handover }),
  (error: unknown): ThreadOutcome => ({
    kind: "failed",
    error: MigrationError.from(error).serialize(),
    lacksGuest: run.lacksGuest,
  }),
);
link.post({ kind: "ended", outcome });
link.close();
