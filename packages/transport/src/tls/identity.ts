import { MigrationError } from "@peregrine/protocol";
import { X509Certificate } from "node:crypto";
import tls from "node:tls";
import type { TLSSocket } from "node:tls";
import { isAuthorized } from "./authorization.ts";
import type { ClientTls, ServerTls, TlsCredentials, TlsEndpoint } from "./credentials.ts";
import { certificateNames, distinguishedName } from "./distinguished-name.ts";
import { certificatesOf, day } from "./load-credentials.ts";

/** Who is at the other end. */
export interface PeerIdentity {
  /** Undefined with pre-shared keys, and of a client that was not asked for one. */
  readonly certificate: X509Certificate | undefined;
  /** The distinguished name of the certificate, or the name of the key. */
  readonly name: string | undefined;
}

/** Whether the server is who it should be. Errors: TLS_FAILED. @param expected name that its certificate has to have. */
export function checkServer(
  secure: TLSSocket,
  { credentials }: ClientTls,
  expected: string,
  peer: string,
): PeerIdentity {
  const certificate = secure.getPeerX509Certificate();
  if (credentials.kind === "psk") {
    // A server without the key could still show any certificate.
    if (certificate === undefined) return { certificate, name: credentials.username };
    throw refused(peer, "the destination uses a certificate, and this side has a pre-shared key");
  }
  if (certificate === undefined) throw refused(peer, "the destination has shown no certificate");
  const fault = credentials.verifyPeer ? faultOf(secure, certificate, credentials, "server") : undefined;
  if (fault !== undefined) throw refused(peer, fault);
  if (credentials.verifyPeer && !isFor(certificate, expected))
    throw refused(peer, wrongName(certificate, expected));
  return { certificate, name: distinguishedName(certificate) };
}

/** Whether the client may connect. Errors: TLS_FAILED; BAD_CREDENTIALS when nobody can tell. */
export async function checkClient(
  secure: TLSSocket,
  { credentials, authorization }: ServerTls,
  key: string | undefined,
  peer: string,
): Promise<PeerIdentity> {
  const certificate = credentials.kind === "x509" ? secure.getPeerX509Certificate() : undefined;
  if (credentials.kind === "x509" && credentials.verifyPeer) {
    if (certificate === undefined) {
      throw refused(
        peer,
        "the source has shown no certificate: its credentials need client-cert.pem and client-key.pem",
      );
    }
    const fault = faultOf(secure, certificate, credentials, "client");
    if (fault !== undefined) throw refused(peer, fault);
  }
  const name = certificate === undefined ? key : distinguishedName(certificate);
  if (authorization !== undefined && !(name !== undefined && (await isAuthorized(authorization, name)))) {
    throw refused(peer, `'${authorization.id}' (tls-authz) does not allow '${name ?? ""}' to connect`);
  }
  return { certificate, name };
}

/** Whether a certificate is for a host. */
export function isFor(certificate: X509Certificate, expected: string): boolean {
  return tls.checkServerIdentity(expected, certificate.toLegacyObject()) === undefined;
}

function wrongName(certificate: X509Certificate, expected: string): string {
  const names = certificateNames(certificate);
  const list = names.length === 0 ? "no name" : names.join(", ");
  const advice =
    names.length === 0
      ? "its certificate needs a subjectAltName"
      : `dial one of these, or name one with tls-hostname (--tls-hostname ${names[0]})`;
  return `'${expected}' was expected, and the destination's certificate is for ${list}: ${advice}`;
}

/** What is wrong with the certificate of the other side, of which OpenSSL has told a code. */
function faultOf(
  secure: TLSSocket,
  certificate: X509Certificate,
  credentials: TlsCredentials & { readonly kind: "x509" },
  side: TlsEndpoint,
): string | undefined {
  if (secure.authorized) return undefined;
  const whose = side === "server" ? "the destination's certificate" : "the source's certificate";
  const file = `${side}-cert.pem`;
  const subject = distinguishedName(certificate) || "without a name";
  // Node has put the code of OpenSSL there, and calls it an error.
  const code = String(secure.authorizationError);
  switch (code) {
    case "CERT_HAS_EXPIRED":
      return expired(certificate, credentials, whose, file);
    case "CERT_NOT_YET_VALID":
      return `${whose} is not valid before ${day(certificate.validFromDate)}: compare the clocks of both hosts`;
    case "CERT_REVOKED":
      return `${whose} (${subject}) has been revoked by ca-crl.pem in '${credentials.directory}'`;
    case "CRL_HAS_EXPIRED":
    case "UNABLE_TO_GET_CRL":
      return `ca-crl.pem in '${credentials.directory}' is too old, or not of the authority of ${whose}: fetch a new one`;
    case "INVALID_PURPOSE":
      return `${whose} (${subject}) is not meant for a ${side}: its extended key usage has to have ${side}Auth`;
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "CERT_SIGNATURE_FAILURE":
      return `${whose} (${subject}) was not issued by an authority that this side knows (${credentials.trust}): both sides need one that both know`;
    default:
      return `${whose} (${subject}) is not accepted: ${code.toLowerCase().replaceAll("_", " ")}`;
  }
}

/** Of the certificate itself, or of an authority above it. */
function expired(
  certificate: X509Certificate,
  credentials: TlsCredentials & { readonly kind: "x509" },
  whose: string,
  file: string,
): string {
  if (Date.now() > certificate.validToDate.getTime()) {
    return `${whose} expired on ${day(certificate.validToDate)}: renew ${file} there`;
  }
  const authority = certificatesOf(credentials.authorities, credentials.trust).find(
    ({ validToDate }) => Date.now() > validToDate.getTime(),
  );
  const when = authority === undefined ? "" : ` on ${day(authority.validToDate)}`;
  return `the authority of ${whose} expired${when}: renew ca-cert.pem`;
}

function refused(peer: string, reason: string): MigrationError {
  return new MigrationError("TLS_FAILED", `TLS with '${peer}' failed: ${reason}`);
}
