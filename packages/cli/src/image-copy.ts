import { MigrationError } from "@peregrine/protocol";
import { RunControl } from "@peregrine/shared-state";
import type { Machine } from "@peregrine/shared-state";
import { OutgoingMigration } from "@peregrine/source-agent";
import type { SecurityObjects, TlsParameters } from "@peregrine/transport";

/** As the agent's migrations have it. */
export interface CopyTls {
  readonly objects: SecurityObjects;
  readonly parameters: TlsParameters;
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
