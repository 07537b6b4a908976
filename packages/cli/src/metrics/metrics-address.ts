import { isLoopback } from "@peregrine/monitor";
import { MigrationError } from "@peregrine/protocol";
import { parseUri } from "@peregrine/transport";
import type { TcpAddress, UnixAddress } from "@peregrine/transport";

/** Where metrics are served. */
export type MetricsAddress = TcpAddress | UnixAddress;

/** Understands `HOST:PORT`, `[HOST]:PORT` and `unix:PATH`. Errors: BAD_ADDRESS. */
export function parseMetricsAddress(text: string): MetricsAddress {
  const address = parseUri(text.startsWith("unix:") ? text : `tcp:${text}`, "incoming");
  if (address.kind === "unix" || address.kind === "tcp") return address;
  throw new MigrationError(
    "BAD_ADDRESS",
    `No metrics can be served at '${text}'; give HOST:PORT or unix:PATH`,
  );
}

/** Figures that any user of this host may see are none that anybody on the network may. Errors: TOKEN_NEEDED. */
export function requireMetricsToken(address: MetricsAddress, hasToken: boolean): void {
  if (address.kind === "unix" || hasToken || isLoopback(address.host)) return;
  throw new MigrationError(
    "TOKEN_NEEDED",
    `Metrics at '${address.host}' can be read by others and need a token: give --metrics-token-file FILE, ` +
      "set PEREGRINE_METRICS_TOKEN, or listen on 127.0.0.1:PORT or unix:PATH",
  );
}
