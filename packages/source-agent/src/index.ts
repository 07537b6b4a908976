export type { DowntimeBreakdown } from "./downtime.ts";
export { OutgoingMigration } from "./outgoing-migration.ts";
export { DEFAULT_TIMEOUTS } from "./outgoing-options.ts";
export type {
  MigrationNotifier,
  OutgoingMigrationEvent,
  OutgoingMigrationOptions,
  Ownership,
  PassedOn,
} from "./outgoing-options.ts";
export type { MigrationTimeouts } from "./thread-messages.ts";
