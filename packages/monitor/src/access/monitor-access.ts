import { MigrationError } from "@peregrine/protocol";
import type { Address, ServerTls } from "@peregrine/transport";
import type { AccessToken } from "./access-token.ts";

/** Who is served at one address of a monitor. */
export type MonitorAccess =
  /** A unix socket, which the kernel lets nobody but its owner connect to. */
  | { readonly kind: "owner" }
  /** Whoever gives the token. */
  | { readonly kind: "token"; readonly token: AccessToken }
  /** Whoever shows a certificate, or has a key, that the credentials of its TLS know. */
  | { readonly kind: "certificate" };

/** What is asked of clients that do not come by a unix socket. With both, they have to have both. */
export interface MonitorSecurity {
  readonly token?: AccessToken | undefined;
  /** Of monitors at `tcp:`. */
  readonly tls?: ServerTls | undefined;
}

/**
 * How clients at `address` show that they may be there. Other users of this host reach its loopback interface, too.
 * Errors: TOKEN_NEEDED.
 */
export function monitorAccess(
  { kind }: Pick<Address, "kind">,
  uri: string,
  { token, tls }: MonitorSecurity,
): MonitorAccess {
  if (kind === "unix") return { kind: "owner" };
  if (token !== undefined) return { kind: "token", token };
  if (kind === "tcp" && tls !== undefined) {
    if (identifiesClients(tls)) return { kind: "certificate" };
    throw new MigrationError(
      "TOKEN_NEEDED",
      `The credentials '${tls.credentials.id}' of the monitor at '${uri}' let every client in (verify-peer=off): ask for certificates with verify-peer=on, or give --monitor-token-file FILE`,
    );
  }
  throw new MigrationError(
    "TOKEN_NEEDED",
    `A monitor at '${uri}' can be reached by others and needs a token: give --monitor-token-file FILE, set PEREGRINE_MONITOR_TOKEN, ${kind === "tcp" ? "ask for certificates by --monitor-tls-creds, " : ""}or listen on unix:PATH`,
  );
}

/** Whether a client has shown who it is once the handshake is over. */
function identifiesClients({ credentials }: ServerTls): boolean {
  return credentials.kind === "psk" || credentials.verifyPeer;
}
