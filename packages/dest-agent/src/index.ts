export { inflatePage, openDecompressor } from "./decompressors.ts";
export { IncomingMigration } from "./incoming-migration.ts";
export type { IncomingMigrationOptions, ListenOptions } from "./incoming-migration.ts";
export type { IncomingProgress, IncomingResult, IncomingStatus } from "./incoming-result.ts";
