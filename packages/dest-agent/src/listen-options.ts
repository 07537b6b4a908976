import { MigrationError } from "@peregrine/protocol";
import type { NamedDescriptors, ServerTls } from "@peregrine/transport";

const MAX_MULTIFD_CHANNELS = 255;

/** Where a guest is awaited, and how. */
export interface ListenOptions {
  /** `tcp:HOST:PORT`, port 0 for any, or `unix:PATH`, or `ws:`. What `file:`, `exec:` and `fd:` name is read at once. */
  readonly uri: string;
  /** How many multifd channels the source opens, at most 255. Default: 0, it has none. */
  readonly multifdChannels?: number;
  /** What the names in `fd:NAME` stand for. Default: none is known. */
  readonly descriptors?: NamedDescriptors;
  /** What every connection has to have. Default: none has TLS. */
  readonly tls?: ServerTls | undefined;
}

/** Errors: BAD_PARAMETER. */
export function requireChannels(channels: number): void {
  if (Number.isInteger(channels) && channels >= 0 && channels <= MAX_MULTIFD_CHANNELS) return;
  const text = `Parameter 'multifd_channels' expects a value between 1 and ${MAX_MULTIFD_CHANNELS}`;
  throw new MigrationError("BAD_PARAMETER", text);
}
