import { MigrationError } from "@peregrine/protocol";
import { RunControl } from "@peregrine/shared-state";
import type { Machine } from "@peregrine/shared-state";
import { OutgoingMigration } from "@peregrine/source-agent";

/**
 * Sends a copy of an image, which stays as it is: a migration of which nobody is told that the guest has moved.
 * Not while the image is being migrated: both would take from one dirty log.
 * Errors: why the copy could not be sent.
 */
export async function copyImage(machine: Machine, uri: string): Promise<void> {
  const migration = new OutgoingMigration({ machine, run: new RunControl(machine) });
  const ended = Promise.withResolvers<void>();
  migration.subscribe((event) => {
    if (event.kind !== "migration") return;
    if (event.status === "completed") ended.resolve();
    if (event.status === "failed") ended.reject(migration.error);
  });
  try {
    migration.setCapabilities({ "return-path": false });
    migration.setSpeed(0);
    migration.migrate(uri);
    await ended.promise;
  } catch (error) {
    throw MigrationError.from(error);
  } finally {
    await migration.dispose();
  }
}
