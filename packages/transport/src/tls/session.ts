import net from "node:net";
import type { ConnectionOptions, SecureContextOptions, TlsOptions } from "node:tls";
import type { ClientTls, PskCredentials, TlsCredentials } from "./credentials.ts";

/** How long the handshake may take, milliseconds. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Every QEMU that is in use has it, and its directions end one by one. */
const VERSION = { minVersion: "TLSv1.3", maxVersion: "TLSv1.3" } as const;

/** Those that go with a pre-shared key, whose hash is SHA-256. */
const PSK_CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

/** Who is there is checked by `checkServer` and `checkClient`, which can say more than Node. */
const CHECKED_LATER = { rejectUnauthorized: false } as const;

/** What Node's TLS is told for a connection of this side. @param name that the certificate of the other side has to have. */
export function clientOptions({ credentials }: ClientTls, name: string, protocol: string): ConnectionOptions {
  return {
    ...VERSION,
    ...CHECKED_LATER,
    ALPNProtocols: [protocol],
    checkServerIdentity: () => undefined,
    ...(net.isIP(name) === 0 ? { servername: name } : {}),
    ...(credentials.kind === "x509" ? certificates(credentials) : clientKey(credentials)),
  };
}

/**
 * What Node's TLS is told for connections that are accepted.
 * @param identified told which key a client has used.
 */
export function serverOptions(
  credentials: TlsCredentials,
  protocol: string,
  identified: (name: string) => void,
): TlsOptions {
  return {
    ...VERSION,
    ...CHECKED_LATER,
    ALPNProtocols: [protocol],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    ...(credentials.kind === "x509"
      ? { ...certificates(credentials), requestCert: credentials.verifyPeer }
      : {
          ciphers: PSK_CIPHERS,
          pskCallback: (_socket, name) => {
            const key = credentials.keys.get(name);
            if (key === undefined) return null;
            identified(name);
            return Buffer.from(key, "hex");
          },
        }),
  };
}

/** No authority but those that were given, and none of the system's. */
function certificates(credentials: TlsCredentials & { readonly kind: "x509" }): SecureContextOptions {
  const { authorities, revoked, own } = credentials;
  return {
    ca: authorities,
    ...(revoked === undefined ? {} : { crl: revoked }),
    ...(own === undefined ? {} : { cert: own.certificate, key: own.key }),
  };
}

function clientKey({ username, keys }: PskCredentials): ConnectionOptions {
  const psk = Buffer.from(keys.get(username) ?? "", "hex");
  return { ca: [], ciphers: PSK_CIPHERS, pskCallback: () => ({ psk, identity: username }) };
}
