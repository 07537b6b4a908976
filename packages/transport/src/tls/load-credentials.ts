import { MigrationError } from "@peregrine/protocol";
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { join } from "node:path";
import { checkDirectory, readCredential, readOptionalCredential } from "./credential-files.ts";
import type { PskCredentials, TlsCredentials, TlsEndpoint, X509Credentials } from "./credentials.ts";

/** Where credentials are, and what they are for. */
export type CredentialsSource = {
  readonly id: string;
  readonly directory: string;
  readonly endpoint: TlsEndpoint;
} & (
  | { readonly kind: "x509"; readonly verifyPeer: boolean }
  | { readonly kind: "psk"; readonly username: string }
);

/** Files of a directory with credentials. */
export const CREDENTIAL_FILES = {
  authorities: "ca-cert.pem",
  revoked: "ca-crl.pem",
  keys: "keys.psk",
} as const;

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/gu;
const KEY_LINE = /^(?<name>[^:]+):(?<key>(?:[0-9A-Fa-f]{2})+)$/u;

/** Bytes: what is shorter can be found by trying. */
const LEAST_KEY_BYTES = 16;

/**
 * Reads credentials, and checks that they can be used: that they are there, whose they are, that key and certificate
 * belong together and that the certificate is valid today. Errors: BAD_CREDENTIALS.
 */
export async function loadCredentials(source: CredentialsSource): Promise<TlsCredentials> {
  await checkDirectory(source.directory);
  return source.kind === "x509" ? loadX509(source) : loadPsk(source);
}

/** Every certificate of a PEM text. Errors: BAD_CREDENTIALS when there is none, or one that is not understood. */
export function certificatesOf(pem: string, path: string): readonly X509Certificate[] {
  const found = pem.match(PEM_CERTIFICATE) ?? [];
  if (found.length === 0) throw bad(`'${path}' has no certificate in PEM form`);
  try {
    return found.map((text) => new X509Certificate(text));
  } catch (cause) {
    throw bad(`'${path}' has a certificate that cannot be understood`, cause);
  }
}

async function loadX509(source: Extract<CredentialsSource, { kind: "x509" }>): Promise<X509Credentials> {
  const { directory } = source;
  const authorities = await readCredential(directory, CREDENTIAL_FILES.authorities, "public");
  const path = join(directory, CREDENTIAL_FILES.authorities);
  certificatesOf(authorities, path);
  const revoked = await readOptionalCredential(directory, CREDENTIAL_FILES.revoked, "public");
  if (revoked !== undefined && !revoked.includes("-----BEGIN X509 CRL-----")) {
    throw bad(
      `'${join(directory, CREDENTIAL_FILES.revoked)}' has no list of revoked certificates in PEM form`,
    );
  }
  return { ...source, authorities, trust: `'${path}'`, revoked, own: await loadOwn(source) };
}

/** A server has a certificate; a client has one if it has the files. */
async function loadOwn({ directory, endpoint }: CredentialsSource): Promise<X509Credentials["own"]> {
  const [certificateName, keyName] = [`${endpoint}-cert.pem`, `${endpoint}-key.pem`];
  const certificatePath = join(directory, certificateName);
  const read = endpoint === "server" ? readCredential : readOptionalCredential;
  const certificate = await read(directory, certificateName, "public");
  const key = await read(directory, keyName, "secret");
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined)
    throw bad(`'${certificatePath}' is missing, and its key '${keyName}' is there`);
  if (key === undefined) throw bad(`'${join(directory, keyName)}' is missing, and its certificate is there`);
  const [first] = certificatesOf(certificate, certificatePath);
  requireValid(first!, certificatePath);
  if (!first!.checkPrivateKey(privateKey(key, join(directory, keyName)))) {
    throw bad(`'${keyName}' in '${directory}' is not the key of '${certificateName}'`);
  }
  return { certificate, key };
}

function privateKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    const needsPassphrase = (cause as NodeJS.ErrnoException).code === "ERR_MISSING_PASSPHRASE";
    throw bad(
      needsPassphrase
        ? `'${path}' is encrypted, and nobody can be asked for its passphrase here: keep it unencrypted, with mode 600`
        : `'${path}' has no private key in PEM form`,
      cause,
    );
  }
}

function requireValid({ validFromDate, validToDate }: X509Certificate, path: string): void {
  const now = Date.now();
  if (now > validToDate.getTime())
    throw bad(`The certificate '${path}' expired on ${day(validToDate)}: renew it`);
  if (now < validFromDate.getTime()) {
    throw bad(
      `The certificate '${path}' is not valid before ${day(validFromDate)}: look at this host's clock`,
    );
  }
}

/** A date and a time in UTC, as a person reads them. */
export function day(date: Date): string {
  return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

async function loadPsk(source: Extract<CredentialsSource, { kind: "psk" }>): Promise<PskCredentials> {
  const { directory, endpoint, username } = source;
  const path = join(directory, CREDENTIAL_FILES.keys);
  const all = parseKeys(await readCredential(directory, CREDENTIAL_FILES.keys, "secret"), path);
  if (endpoint === "server") return { ...source, keys: all };
  const own = all.get(username);
  if (own === undefined)
    throw bad(`'${path}' has no key for '${username}': name one that it has with username=`);
  return { ...source, keys: new Map([[username, own]]) };
}

/** Lines of `NAME:KEY`. Errors: BAD_CREDENTIALS; a key is never in the text of an error. */
function parseKeys(text: string, path: string): ReadonlyMap<string, string> {
  const keys = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/u).entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const { name, key } = KEY_LINE.exec(line)?.groups ?? {};
    if (name === undefined || key === undefined) {
      throw bad(`Line ${index + 1} of '${path}' is not NAME:KEY with a hexadecimal key`);
    }
    if (key.length < 2 * LEAST_KEY_BYTES) {
      throw bad(`The key in line ${index + 1} of '${path}' has less than ${LEAST_KEY_BYTES} bytes`);
    }
    if (keys.has(name)) throw bad(`Line ${index + 1} of '${path}' names somebody who has a key already`);
    keys.set(name, key);
  }
  if (keys.size === 0) throw bad(`'${path}' has no keys`);
  return keys;
}

function bad(text: string, cause?: unknown): MigrationError {
  return new MigrationError("BAD_CREDENTIALS", text, { cause });
}
