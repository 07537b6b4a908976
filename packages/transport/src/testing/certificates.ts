// oxlint-disable-next-line import/no-unassigned-import -- the library below wants this to be there before it
import "reflect-metadata";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
} from "@peculiar/x509";
import type { Extension, JsonGeneralNames, X509Certificate } from "@peculiar/x509";
import { randomBytes, webcrypto } from "node:crypto";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

type KeyPair = webcrypto.CryptoKeyPair;

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;
const DAY_MS = 24 * 60 * 60 * 1000;

export interface CertificateOptions {
  /** Default: `CN=` and the name. */
  readonly subject?: string;
  /** Names and addresses of hosts. Default: localhost and 127.0.0.1. */
  readonly names?: JsonGeneralNames;
  /** Default: both. */
  readonly usage?: readonly ("client" | "server")[];
  /** Days from now. Default: from -1 to 1. */
  readonly from?: number;
  readonly to?: number;
}

export interface Issued {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  /** Hexadecimal. */
  readonly serial: string;
}

/** Issues certificates for tests. */
export class TestAuthority {
  /** PEM. */
  readonly certificate: string;
  readonly #own: X509Certificate;
  readonly #keys: KeyPair;

  private constructor(own: X509Certificate, keys: KeyPair) {
    this.certificate = own.toString("pem");
    this.#own = own;
    this.#keys = keys;
  }

  static async create(name = "test authority"): Promise<TestAuthority> {
    const keys = await keyPair();
    const own = await X509CertificateGenerator.createSelfSigned({
      serialNumber: serial(),
      name: `CN=${name}`,
      notBefore: daysFromNow(-2),
      notAfter: daysFromNow(2),
      signingAlgorithm: SIGNING,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new TestAuthority(own, keys);
  }

  async issue(name: string, options: CertificateOptions = {}): Promise<Issued> {
    const { subject = `CN=${name}`, usage = ["client", "server"], from = -1, to = 1 } = options;
    const names = options.names ?? [
      { type: "dns", value: "localhost" },
      { type: "ip", value: "127.0.0.1" },
    ];
    const keys = await keyPair();
    const serialNumber = serial();
    const purposes = usage.map((side) => ExtendedKeyUsage[`${side}Auth`]);
    const extensions: Extension[] = [
      // QEMU wants both usages of a key.
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
      new ExtendedKeyUsageExtension(purposes),
      await AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
    ];
    if (names.length > 0) extensions.push(new SubjectAlternativeNameExtension(names));
    const made = await X509CertificateGenerator.create({
      serialNumber,
      subject,
      issuer: this.#own.subject,
      notBefore: daysFromNow(from),
      notAfter: daysFromNow(to),
      signingAlgorithm: SIGNING,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions,
    });
    return { certificate: made.toString("pem"), key: await pem(keys.privateKey), serial: serialNumber };
  }

  /** PEM of a list of certificates that are not to be accepted any more. */
  async revoke(...revoked: readonly Issued[]): Promise<string> {
    const list = await X509CrlGenerator.create({
      issuer: this.#own.subject,
      thisUpdate: daysFromNow(-1),
      nextUpdate: daysFromNow(1),
      entries: revoked.map((one) => ({ serialNumber: one.serial, revocationDate: daysFromNow(-1) })),
      signingAlgorithm: SIGNING,
      signingKey: this.#keys.privateKey,
    });
    // The library has another label than everybody else.
    return list.toString("pem").replaceAll(/(?<=-----(?:BEGIN|END) )(?:X509 )?CRL/gu, "X509 CRL");
  }
}

/** What a directory with credentials holds. */
export interface CredentialContents {
  readonly authorities: string;
  readonly server?: Issued;
  readonly client?: Issued;
  readonly revoked?: string;
}

/** Writes a directory in the layout of QEMU. @returns its path. */
export async function writeCredentials(
  directory: string,
  { authorities, server, client, revoked }: CredentialContents,
): Promise<string> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "ca-cert.pem"), authorities);
  for (const [side, own] of [
    ["server", server],
    ["client", client],
  ] as const) {
    if (own === undefined) continue;
    await writeFile(join(directory, `${side}-cert.pem`), own.certificate);
    await writeSecret(join(directory, `${side}-key.pem`), own.key);
  }
  if (revoked !== undefined) await writeFile(join(directory, "ca-crl.pem"), revoked);
  return directory;
}

/** Writes `keys.psk` with hexadecimal keys by name. @returns the directory. */
export async function writeKeys(directory: string, keys: Readonly<Record<string, string>>): Promise<string> {
  await mkdir(directory, { recursive: true });
  const lines = Object.entries(keys).map(([name, key]) => `${name}:${key}\n`);
  await writeSecret(join(directory, "keys.psk"), lines.join(""));
  return directory;
}

/** A key to be shared, hexadecimal. */
export function sharedKey(): string {
  return randomBytes(32).toString("hex");
}

async function writeSecret(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o600);
}

function keyPair(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function pem(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  const lines = bytes.toString("base64").match(/.{1,64}/gu) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`;
}

/** Positive, and of a length of its own. */
function serial(): string {
  return `01${randomBytes(8).toString("hex")}`;
}

function daysFromNow(days: number): Date {
  return new Date(Date.now() + days * DAY_MS);
}
