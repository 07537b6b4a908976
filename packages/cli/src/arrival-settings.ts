import type { ListenOptions } from "@peregrine/dest-agent";
import type { OutgoingMigration } from "@peregrine/source-agent";
import type { SecurityObjects } from "@peregrine/transport";
import { arrivalTls } from "./tls-options.ts";
import type { ArrivalTls } from "./tls-options.ts";

/** How a source is awaited at an address that the monitor gives. */
export interface ArrivalSettings {
  /** Connections that a source opens for pages, where the capability `multifd` does not say it. */
  readonly channels: number;
  /** What a relay asks of its source. Its capabilities and parameters are those of what it sends on, and say nothing of that. */
  readonly intakeTls: ArrivalTls | undefined;
}

/** @param outgoing with the agent's capabilities and parameters. Errors: BAD_PARAMETER; those of `parseUri`. */
export function arrivalAt(
  uri: string,
  { channels, intakeTls }: ArrivalSettings,
  outgoing: Pick<OutgoingMigration, "queryCapabilities" | "queryParameters">,
  objects: SecurityObjects,
): Pick<ListenOptions, "multifdChannels" | "tls"> {
  if (intakeTls !== undefined) return { multifdChannels: channels, tls: arrivalTls(objects, intakeTls, uri) };
  const parameters = outgoing.queryParameters();
  const { multifd } = outgoing.queryCapabilities();
  const tls = { creds: parameters["tls-creds"], authz: parameters["tls-authz"] };
  return {
    multifdChannels: multifd ? parameters["multifd-channels"] : channels,
    tls: arrivalTls(objects, tls, uri),
  };
}
