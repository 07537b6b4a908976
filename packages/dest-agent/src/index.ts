export { inflatePage, openDecompressor } from "./decompressors.ts";
export { IncomingMigration } from "./incoming-migration.ts";
export type {
  IncomingMigrationOptions,
  PassesOn,
  SourceExpectation,
  SourceOffer,
} from "./incoming-options.ts";
export type { ListenOptions } from "./listen-options.ts";
export type { IncomingProgress, IncomingResult, IncomingStatus } from "./incoming-result.ts";
export { Announcer } from "./network/announcer.ts";
export { NetworkInterface } from "./network/network-interface.ts";
export type { FrameCounts } from "./network/network-interface.ts";
