import { MigrationError } from "@peregrine/protocol";
import { describeSystemError } from "../errno.ts";

/** What the other side says when it gives up, by the name of its alert. */
const ALERTS: readonly (readonly [RegExp, string])[] = [
  [
    /CERTIFICATE_REQUIRED/u,
    "it wants a certificate, and the credentials of this side have none: put client-cert.pem and client-key.pem into their directory",
  ],
  [
    /UNKNOWN_CA/u,
    "it does not know the authority of this side's certificate: its ca-cert.pem has to hold it",
  ],
  [
    /CERTIFICATE_EXPIRED/u,
    "it says that this side's certificate has expired, or is not valid yet by its clock",
  ],
  [/CERTIFICATE_REVOKED/u, "it says that this side's certificate has been revoked"],
  [/CERTIFICATE|ACCESS_DENIED/u, "it does not accept this side's certificate; its own log may say why"],
  [
    /UNKNOWN_PSK_IDENTITY|DECRYPT_ERROR|BAD_RECORD_MAC/u,
    "the two sides do not have the same key: compare the lines of keys.psk, and username= with the name in them",
  ],
  [
    /HANDSHAKE_FAILURE|PROTOCOL_VERSION|INSUFFICIENT_SECURITY|ILLEGAL_PARAMETER|MISSING_EXTENSION/u,
    "the two sides have no kind of TLS in common: both need TLS 1.3, and both tls-creds-x509 or both tls-creds-psk with the same key",
  ],
];

/** What Node says when that which comes is no TLS at all. */
const NO_TLS =
  /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|HTTPS_PROXY_REQUEST|UNKNOWN_PROTOCOL|BAD_PROTOCOL|RECORD_TOO_SMALL/u;

/** The connection just ended or broke. */
const GONE: ReadonlySet<unknown> = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT"]);

/** Whether the other side has just gone, without a word. */
export function isGone(error: unknown): boolean {
  return GONE.has(codeOf(error));
}

/** What went wrong with TLS, in one sentence. What the system says of a broken connection stays as it is. */
export function tlsFailure(error: Error, peer: string): Error {
  if (MigrationError.is(error) || isGone(error)) return error;
  return new MigrationError("TLS_FAILED", `TLS with '${peer}' failed: ${reasonOf(error)}`, { cause: error });
}

/** The same while TLS is being agreed on, when an end of the connection means something, too. */
export function handshakeFailure(error: unknown, peer: string): MigrationError {
  if (MigrationError.is(error)) return error;
  const reason = isGone(error)
    ? "the other side ended the connection before that: it has no TLS (tls-creds), or it refused this side and its log says why"
    : reasonOf(error);
  return new MigrationError("TLS_FAILED", `TLS with '${peer}' failed: ${reason}`, { cause: error });
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  const alert = /ALERT_(?<name>\w+)$/u.exec(code)?.groups?.["name"];
  if (alert !== undefined) {
    const found = ALERTS.find(([name]) => name.test(alert));
    return found?.[1] ?? `it gave up with '${alert.toLowerCase().replaceAll("_", " ")}'`;
  }
  if (NO_TLS.test(code)) return "what came is no TLS: the other side has to have tls-creds, too";
  if (/NO_SHARED_CIPHER|UNSUPPORTED_PROTOCOL|NO_SUITABLE/u.test(code)) {
    return "the two sides have no kind of TLS in common: both need TLS 1.3, and both tls-creds-x509 or both tls-creds-psk";
  }
  if (/BINDER|PSK|DIGEST_CHECK_FAILED/u.test(code))
    return "the two sides do not have the same key in keys.psk";
  const { reason } = error as { readonly reason?: string };
  return reason ?? describeSystemError(error);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | null)?.code ?? "";
}
