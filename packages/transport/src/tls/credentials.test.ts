import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sharedKey, TestAuthority, writeCredentials, writeKeys } from "../testing/certificates.ts";
import { failure } from "../testing/opened.ts";
import { loadCredentials } from "./load-credentials.ts";
import type { CredentialsSource } from "./load-credentials.ts";

let folder: string;
let authority: TestAuthority;
let directory: string;
let count = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-"));
  authority = await TestAuthority.create();
});

afterAll(() => rm(folder, { recursive: true }));

beforeEach(async () => {
  directory = await writeCredentials(join(folder, `${count++}`), {
    authorities: authority.certificate,
    server: await authority.issue("server"),
    client: await authority.issue("client"),
  });
});

const x509 = (endpoint: "client" | "server" = "server"): CredentialsSource => ({
  kind: "x509",
  id: "tls0",
  directory,
  endpoint,
  verifyPeer: true,
});

async function expectRefused(source: CredentialsSource, text: RegExp | string): Promise<void> {
  const { code, message } = await failure(loadCredentials(source));
  expect(code).toBe("BAD_CREDENTIALS");
  if (typeof text === "string") expect(message).toBe(text);
  else expect(message).toMatch(text);
}

describe("certificates", () => {
  test("are refused unread when their file is far too large for one", async () => {
    const file = join(directory, "ca-cert.pem");
    await writeFile(file, Buffer.alloc(2 ** 20 + 1));
    await expectRefused(x509(), `'${file}' is too large for a certificate or a key`);
    await writeFile(file, Buffer.alloc(2 ** 20));
    await expectRefused(x509(), /ca-cert\.pem/u);
  });

  test("of either side are read from their files", async () => {
    for (const endpoint of ["client", "server"] as const) {
      const { own } = (await loadCredentials(x509(endpoint))) as { own?: { certificate: string } };
      expect(own?.certificate).toContain("BEGIN CERTIFICATE");
    }
  });

  test("of a client may be left out, but only both files together", async () => {
    await rm(join(directory, "client-cert.pem"));
    await expectRefused(
      x509("client"),
      `'${directory}/client-cert.pem' is missing, and its key 'client-key.pem' is there`,
    );
    await rm(join(directory, "client-key.pem"));
    expect(await loadCredentials(x509("client"))).toMatchObject({ own: undefined });
  });

  test.each(["ca-cert.pem", "server-cert.pem", "server-key.pem"])("without %s are refused", async (file) => {
    await rm(join(directory, file));
    await expectRefused(x509(), `Could not open '${directory}/${file}': No such file or directory`);
  });

  test("in a directory that is not there are refused", async () => {
    await rm(directory, { recursive: true });
    await expectRefused(x509(), `Could not open the directory '${directory}': No such file or directory`);
    await writeFile(directory, "");
    await expectRefused(x509(), `'${directory}' is no directory`);
  });

  test.each([
    [0o644, true],
    [0o604, true],
    [0o660, true],
    [0o602, true],
    [0o640, false],
    [0o400, false],
  ])("with a key of mode %o: refused is %s", async (mode, isRefused) => {
    const key = join(directory, "server-key.pem");
    await chmod(key, mode);
    if (isRefused)
      await expectRefused(x509(), /is open to others \(mode \d+\): make it its owner's with chmod 600/u);
    else await loadCredentials(x509());
  });

  test("that everybody can change are refused", async () => {
    await chmod(join(directory, "ca-cert.pem"), 0o646);
    await expectRefused(
      x509(),
      `Everybody on this host can change '${directory}/ca-cert.pem': take that away with chmod o-w`,
    );
    await chmod(join(directory, "ca-cert.pem"), 0o644);
    await chmod(directory, 0o757);
    await expectRefused(
      x509(),
      `Everybody on this host can put files into '${directory}': take that away with chmod o-w`,
    );
  });

  test("that are none are refused", async () => {
    await writeFile(join(directory, "ca-cert.pem"), "hello");
    await expectRefused(x509(), `'${directory}/ca-cert.pem' has no certificate in PEM form`);
    await writeFile(
      join(directory, "ca-cert.pem"),
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    await expectRefused(x509(), `'${directory}/ca-cert.pem' has a certificate that cannot be understood`);
    await writeFile(join(directory, "ca-cert.pem"), Buffer.alloc((1 << 20) + 1));
    await expectRefused(x509(), /is too large for a certificate or a key$/u);
    await rm(join(directory, "ca-cert.pem"));
    await mkdir(join(directory, "ca-cert.pem"));
    await expectRefused(x509(), `'${directory}/ca-cert.pem' is no file`);
  });

  test("that are pipes or devices are refused, and not waited for", async () => {
    const file = join(directory, "ca-cert.pem");
    await rm(file);
    execFileSync("mkfifo", [file]);
    await expectRefused(x509(), `'${file}' is no file`);
    await rm(file);
    await symlink("/dev/null", file);
    await expectRefused(x509(), `'${file}' is no file`);
  });

  test("with a list of revoked ones that is none are refused", async () => {
    await writeFile(join(directory, "ca-crl.pem"), "hello");
    await expectRefused(x509(), /has no list of revoked certificates in PEM form$/u);
    await writeFile(join(directory, "ca-crl.pem"), await authority.revoke());
    expect(await loadCredentials(x509())).toMatchObject({ revoked: expect.stringContaining("X509 CRL") });
  });

  test("that have another key, or whose key is none, are refused", async () => {
    const other = await authority.issue("other");
    const key = join(directory, "server-key.pem");
    await writeFile(key, other.key);
    await expectRefused(x509(), `'server-key.pem' in '${directory}' is not the key of 'server-cert.pem'`);
    await writeFile(key, "hello");
    await expectRefused(x509(), `'${key}' has no private key in PEM form`);
  });

  test("that are not valid today are refused", async () => {
    for (const [from, to, text] of [
      [-3, -1, /^The certificate '.+' expired on \d{4}-.+ UTC: renew it$/u],
      [1, 2, /^The certificate '.+' is not valid before \d{4}-.+ UTC: look at this host's clock$/u],
    ] as const) {
      await writeCredentials(directory, {
        authorities: authority.certificate,
        server: await authority.issue("server", { from, to }),
      });
      await expectRefused(x509(), text);
    }
  });
});

describe("shared keys", () => {
  const psk = (endpoint: "client" | "server", username = "qemu"): CredentialsSource => ({
    kind: "psk",
    id: "tls0",
    directory,
    endpoint,
    username,
  });

  test("are all of a server's, and of a client's its own", async () => {
    await writeKeys(directory, { qemu: sharedKey(), other: sharedKey() });
    const [server, client] = await Promise.all([
      loadCredentials(psk("server")),
      loadCredentials(psk("client")),
    ]);
    expect([server, client].map((one) => one.kind === "psk" && [...one.keys.keys()])).toEqual([
      ["qemu", "other"],
      ["qemu"],
    ]);
    await expectRefused(
      psk("client", "me"),
      `'${directory}/keys.psk' has no key for 'me': name one that it has with username=`,
    );
  });

  test.each([
    ["qemu", /^Line 1 of '.+' is not NAME:KEY with a hexadecimal key$/u],
    ["qemu:xyz", /^Line 1 of '.+' is not NAME:KEY/u],
    [`# a comment\n\nqemu:${"a".repeat(30)}`, /^The key in line 3 of '.+' has less than 16 bytes$/u],
    [
      `q:${"ab".repeat(16)}\nq:${"cd".repeat(16)}\n`,
      /^Line 2 of '.+' names somebody who has a key already$/u,
    ],
    ["", /^'.+' has no keys$/u],
  ])("%j are refused", async (text, message) => {
    await writeFile(join(directory, "keys.psk"), text, { mode: 0o600 });
    await expectRefused(psk("server"), message);
  });

  test("that others can read are refused", async () => {
    await writeKeys(directory, { qemu: sharedKey() });
    await chmod(join(directory, "keys.psk"), 0o644);
    await expectRefused(psk("client"), /'.+keys\.psk' holds a secret and is open to others \(mode 644\)/u);
  });
});
