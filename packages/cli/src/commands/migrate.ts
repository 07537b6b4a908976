import { absoluteUri } from "../absolute-uri.ts";
import type { MigrateOptions } from "../command-options.ts";
import { followMigration } from "./follow-migration.ts";

/** `peregrine migrate`: starts a migration and follows it to its end. */
export function migrateCommand(options: MigrateOptions): Promise<number> {
  return followMigration({ ...options, uri: absoluteUri(options.uri) });
}
