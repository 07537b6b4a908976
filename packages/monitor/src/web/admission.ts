import { isLoopback } from "../access/loopback.ts";
import type { MonitorAccess } from "../access/monitor-access.ts";
import type { IncomingMessage } from "node:http";

/** What a handshake comes to. A client that is let in and not known has to log in by its first message. */
export type Admission = "refused" | "wrong token" | "unknown" | "known";

const BEARER = /^Bearer +(?<token>[^ ]+) *$/iu;

/** A program gives its token in the header; the scripts of a page cannot. */
export function admission(
  request: IncomingMessage,
  origins: readonly string[],
  access: MonitorAccess,
): Admission {
  if (!isAdmitted(request, origins)) return "refused";
  const { authorization } = request.headers;
  if (access.kind !== "token") return "known";
  if (authorization === undefined) return "unknown";
  const token = BEARER.exec(authorization)?.groups?.["token"];
  return token !== undefined && access.token.matches(token) ? "known" : "wrong token";
}

/**
 * Whether a handshake may go on. A browser tells the origin of the page that connects, which any page of the
 * web may be: it has to be one of this machine, or one of `origins`. Nor may the client have found this machine
 * by another name, as it has when that name was made to point here.
 */
function isAdmitted({ headers }: IncomingMessage, origins: readonly string[]): boolean {
  const host = URL.parse(`http://${headers.host ?? ""}`)?.hostname;
  if (host === undefined || !isLoopback(host)) return false;
  const { origin } = headers;
  if (origin === undefined || origins.includes(origin)) return true;
  const page = URL.parse(origin)?.hostname;
  return page !== undefined && isLoopback(page);
}
