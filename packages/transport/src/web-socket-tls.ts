import { MigrationError } from "@peregrine/protocol";
import { readFile } from "node:fs/promises";
import tls from "node:tls";
import { describeAddress } from "./address.ts";
import type { WebSocketAddress } from "./address.ts";
import { systemError } from "./errno.ts";
import type { ClientTls, ServerTls, X509Credentials } from "./tls/credentials.ts";

/** HTTP: what comes first is a request, so nobody says anything before it. */
export const HTTP_PROTOCOL = "http/1.1";

/** The TLS of `wss:` without credentials of its own: as on the web, where only who listens shows a certificate. */
const AS_ON_THE_WEB = { kind: "x509", id: "wss", directory: "", revoked: undefined } as const;

/**
 * Of who connects: the credentials that were given, or the authorities that come with Node and of NODE_EXTRA_CA_CERTS,
 * those of the system, and those in the file of the address. Errors: BAD_ADDRESS, CONNECT_FAILED.
 */
export async function connectingTls(
  address: WebSocketAddress,
  given: ClientTls | undefined,
): Promise<ClientTls> {
  const { cert, key, ca } = address.tls;
  if (given !== undefined) {
    requireNoFiles(address);
    return given;
  }
  if (cert !== undefined || key !== undefined) {
    throw new MigrationError(
      "BAD_ADDRESS",
      "Only who listens on wss:// has a certificate and a key in the address: tls-creds has them for both",
    );
  }
  const known = [...tls.getCACertificates("default"), ...tls.getCACertificates("system")];
  const more = ca === undefined ? [] : [await readText(ca, "CONNECT_FAILED")];
  const credentials: X509Credentials = {
    ...AS_ON_THE_WEB,
    endpoint: "client",
    verifyPeer: true,
    authorities: [...known, ...more].join("\n"),
    trust:
      ca === undefined ? "those of this system; ?ca=FILE names one more" : `those of this system and '${ca}'`,
    own: undefined,
  };
  return { credentials };
}

/** Of who listens. Errors: BAD_ADDRESS, LISTEN_FAILED. */
export async function listeningTls(
  address: WebSocketAddress,
  given: ServerTls | undefined,
): Promise<ServerTls> {
  const { cert, key, ca } = address.tls;
  if (given !== undefined) {
    requireNoFiles(address);
    return given;
  }
  if (cert === undefined || key === undefined || ca !== undefined) {
    throw new MigrationError(
      "BAD_ADDRESS",
      "To listen on wss:// needs tls-creds, or a certificate and its key: wss://HOST:PORT/?cert=FILE&key=FILE",
    );
  }
  const own = {
    certificate: await readText(cert, "LISTEN_FAILED"),
    key: await readText(key, "LISTEN_FAILED"),
  };
  try {
    tls.createSecureContext({ cert: own.certificate, key: own.key });
  } catch (error) {
    throw systemError("LISTEN_FAILED", `'${cert}' and '${key}' are no certificate and its key`, error);
  }
  const credentials: X509Credentials = {
    ...AS_ON_THE_WEB,
    endpoint: "server",
    verifyPeer: false,
    authorities: "",
    trust: "none",
    own,
  };
  return { credentials };
}

function requireNoFiles(address: WebSocketAddress): void {
  if (Object.keys(address.tls).length === 0) return;
  const text = `'${describeAddress(address)}' has files for TLS in its address, and tls-creds is set: leave one of them out`;
  throw new MigrationError("BAD_ADDRESS", text);
}

async function readText(path: string, code: "CONNECT_FAILED" | "LISTEN_FAILED"): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw systemError(code, `Could not open '${path}'`, error);
  }
}
