import { MigrationError } from "@peregrine/protocol";
import { isUnderWay, RunControl } from "@peregrine/shared-state";
import type { Machine } from "@peregrine/shared-state";
import { OutgoingMigration } from "@peregrine/source-agent";
import type { SecurityObjects, TlsParameters } from "@peregrine/transport";

const BEING_COPIED = "The guest is being copied; it can be migrated when that has ended";

/** As the agent's migrations have it. */
export interface CopyTls {
  readonly objects: SecurityObjects;
  readonly parameters: TlsParameters;
}

/**
 * The same of what an agent holds, which is not migrated meanwhile.
 * @param run of the agent.
 * @param objects what the parameters for TLS of the agent's migration name; undefined: the copy is sent without TLS.
 * Errors: WRONG_STATE for a guest that runs here; IN_PROGRESS; those of the sending.
 */
export async function copyHeldImage(
  machine: Machine,
  run: RunControl,
  outgoing: OutgoingMigration,
  uri: string,
  objects: SecurityObjects | undefined,
): Promise<void> {
  if (machine.carried === undefined) {
    throw new MigrationError("WRONG_STATE", "Only a virtual machine that is held can be copied");
  }
  if (isUnderWay(outgoing.status)) {
    throw new MigrationError("IN_PROGRESS", "The guest is being migrated and cannot be copied meanwhile");
  }
  // What arrives is written to, and may be about to be stored.
  if (run.state === "inmigrate") {
    throw new MigrationError(
      "WRONG_STATE",
      "The virtual machine is not here yet: all of it has to have arrived",
    );
  }
  outgoing.addBlocker(BEING_COPIED);
  try {
    const tls = objects && { objects, parameters: outgoing.queryParameters() };
    await copyImage(machine, uri, tls);
  } finally {
    outgoing.removeBlocker(BEING_COPIED);
  }
}

/**
 * Sends a copy of an image, which stays as it is: a migration of which nobody is told that the guest has moved.
 * Not while the image is being migrated: both would take from one dirty log.
 * @param tls default: none, as for a file.
 * Errors: why the copy could not be sent.
 */
export async function copyImage(machine: Machine, uri: string, tls?: CopyTls): Promise<void> {
  const run = new RunControl(machine);
  const migration = new OutgoingMigration({
    machine,
    run,
    ...(tls === undefined ? {} : { objects: tls.objects }),
  });
  const ended = Promise.withResolvers<void>();
  // What fails before anything is sent is thrown, and told here as well.
  ended.promise.catch(() => {});
  migration.subscribe((event) => {
    if (event.kind !== "migration") return;
    if (event.status === "completed") ended.resolve();
    if (event.status === "failed") ended.reject(migration.error);
  });
  try {
    migration.setCapabilities({ "return-path": false });
    migration.setSpeed(0);
    if (tls !== undefined) {
      const { "tls-creds": creds, "tls-hostname": hostname } = tls.parameters;
      migration.setParameters({ "tls-creds": creds, "tls-hostname": hostname });
    }
    migration.migrate(uri);
    await ended.promise;
  } catch (error) {
    throw MigrationError.from(error);
  } finally {
    await migration.dispose();
  }
}
