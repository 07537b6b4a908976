import type { Authorization } from "@peregrine/metrics";
import { isLoopback } from "@peregrine/monitor";
import type { AccessToken } from "@peregrine/monitor";
import type { IncomingMessage } from "node:http";
import type { MetricsAddress } from "./metrics-address.ts";

const BEARER = /^Bearer +(?<token>[^ ]+) *$/iu;

/**
 * Who may read metrics at an address. The kernel lets nobody but its owner connect to a unix socket. Where there is no
 * token, a page of the web must not get there by a name that was made to point to this machine.
 */
export function metricsAccess(
  address: MetricsAddress,
  token: AccessToken | undefined,
): (request: Pick<IncomingMessage, "headers">) => Authorization {
  if (address.kind === "unix") return () => "allowed";
  if (token === undefined) {
    return ({ headers }) => {
      const host = URL.parse(`http://${headers.host ?? ""}`)?.hostname;
      return host !== undefined && isLoopback(host) ? "allowed" : "wrong-host";
    };
  }
  return ({ headers: { authorization } }) => {
    if (authorization === undefined) return "token-needed";
    const given = BEARER.exec(authorization)?.groups?.["token"];
    return given !== undefined && token.matches(given) ? "allowed" : "wrong-token";
  };
}
