import { MigrationError } from "@peregrine/protocol";
import type { Address } from "@peregrine/transport";
import type { AccessToken } from "./access-token.ts";

/** Who is served at one address of a monitor. */
export type MonitorAccess =
  /** A unix socket, which the kernel lets nobody but its owner connect to. */
  | { readonly kind: "owner" }
  /** Whoever gives the token. */
  | { readonly kind: "token"; readonly token: AccessToken };

/**
 * How clients at `address` show that they may be there. Other users of this host reach its loopback interface, too.
 * Errors: TOKEN_NEEDED.
 */
export function monitorAccess(
  { kind }: Pick<Address, "kind">,
  uri: string,
  token: AccessToken | undefined,
): MonitorAccess {
  if (kind === "unix") return { kind: "owner" };
  if (token !== undefined) return { kind: "token", token };
  throw new MigrationError(
    "TOKEN_NEEDED",
    `A monitor at '${uri}' can be reached by others and needs a token: give --monitor-token-file FILE, set PEREGRINE_MONITOR_TOKEN, or listen on unix:PATH`,
  );
}
