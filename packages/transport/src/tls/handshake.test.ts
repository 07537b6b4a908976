import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import type { MigrationError } from "@peregrine/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { formatUri } from "../address.ts";
import type { Channel, Listener } from "../channel.ts";
import { TestAuthority } from "../testing/certificates.ts";
import type { CertificateOptions } from "../testing/certificates.ts";
import { failure } from "../testing/opened.ts";
import { readAll } from "../testing/streams.ts";
import { bothSides } from "../testing/tls-sides.ts";
import type { TlsSides } from "../testing/tls-sides.ts";
import { connect, listen } from "../uri.ts";
import type { ClientTls, ServerTls, X509Credentials } from "./credentials.ts";

let folder: string;
let sides: TlsSides;
let shared: TlsSides;
let authority: TestAuthority;
let stranger: TestAuthority;
const open: { destroy(): void }[] = [];
const listeners: Listener[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-"));
  [sides, shared, authority, stranger] = await Promise.all([
    bothSides(join(folder, "x509")),
    bothSides(join(folder, "psk"), "psk"),
    TestAuthority.create(),
    TestAuthority.create("another"),
  ]);
});

afterEach(async () => {
  for (const one of open.splice(0)) one.destroy();
  await Promise.all(listeners.splice(0).map((listener) => listener.close()));
});

afterAll(() => rm(folder, { recursive: true }));

/** Credentials of an authority of this test, which knows another one if told so. */
async function credentials(
  endpoint: "client" | "server",
  options: CertificateOptions & { readonly issuer?: TestAuthority; readonly revoked?: string } = {},
): Promise<X509Credentials> {
  const { issuer = authority, revoked, ...how } = options;
  return {
    kind: "x509",
    id: "tls0",
    directory: "/pki",
    endpoint,
    verifyPeer: true,
    authorities: authority.certificate,
    trust: "'/pki/ca-cert.pem'",
    revoked,
    own: await issuer.issue(endpoint, { usage: [endpoint], ...how }),
  };
}

interface Listening {
  readonly uri: string;
  readonly listener: Listener;
  /** Of connections that were not let in. */
  readonly refused: MigrationError[];
}

async function listening(server: ServerTls, uri = "tcp:127.0.0.1:0"): Promise<Listening> {
  const refused: MigrationError[] = [];
  const listener = await listen(uri, { tls: server, refused: (error) => refused.push(error) });
  listeners.push(listener);
  return { uri: formatUri(listener.address), listener, refused };
}

async function connected({ uri, listener }: Listening, client: ClientTls): Promise<[Channel, Channel]> {
  const pair = await Promise.all([connect(uri, { tls: client }), listener.accept()]);
  open.push(...pair);
  return pair;
}

/** What the two sides are told when they do not come together. */
async function refusal(
  client: ClientTls,
  server: ServerTls,
  uri?: string,
): Promise<{ readonly here: string; readonly there: string | undefined }> {
  const { uri: address, refused } = await listening(server, uri);
  const error = await failure(connect(address, { tls: client }));
  expect(error.code).toBe("TLS_FAILED");
  return { here: error.message, there: refused[0]?.message };
}

describe("a client", () => {
  test("names the name that it expected, those of the certificate, and the flag", async () => {
    const server = { credentials: await credentials("server") };
    const { here } = await refusal(
      { credentials: await credentials("client"), hostname: "a.example" },
      server,
    );
    expect(here).toMatch(
      /^TLS with '127\.0\.0\.1:\d+' failed: 'a\.example' was expected, and the destination's certificate is for localhost, 127\.0\.0\.1: dial one of these, or name one with tls-hostname \(--tls-hostname localhost\)$/u,
    );
  });

  test("accepts the address that it dials, and by a path nothing without a name", async () => {
    const server = { credentials: await credentials("server") };
    const client = { credentials: await credentials("client") };
    await connected(await listening(server), client);
    const { here } = await refusal(client, server, `unix:${join(folder, "socket")}`);
    expect(here).toMatch(/^No hostname available for TLS: .+ tls-hostname$/u);
  });

  test.each<[string, CertificateOptions & { issuer?: "stranger" }, RegExp]>([
    [
      "that has expired",
      { from: -3, to: -1 },
      /the destination's certificate expired on .+ UTC: renew server-cert\.pem there$/u,
    ],
    [
      "that is not valid yet",
      { from: 1, to: 2 },
      /the destination's certificate is not valid before .+ compare the clocks/u,
    ],
    [
      "of a client",
      { usage: ["client"] },
      /\(CN=server\) is not meant for a server: its extended key usage has to have serverAuth$/u,
    ],
    [
      "of another authority",
      { issuer: "stranger" },
      /\(CN=server\) was not issued by an authority that this side knows \('\/pki\/ca-cert\.pem'\)/u,
    ],
  ])("refuses a certificate %s", async (_what, { issuer, ...options }, text) => {
    const how = issuer === undefined ? options : { ...options, issuer: stranger };
    const server = { credentials: await credentials("server", how) };
    const { here } = await refusal({ credentials: await credentials("client") }, server);
    expect(here).toMatch(text);
  });

  test("refuses a certificate that was revoked", async () => {
    const server = await credentials("server");
    const issued = await authority.issue("server", { usage: ["server"] });
    const client = await credentials("client", { revoked: await authority.revoke(issued) });
    const { here } = await refusal({ credentials: client }, { credentials: { ...server, own: issued } });
    expect(here).toMatch(/\(CN=server\) has been revoked by ca-crl\.pem in '\/pki'$/u);
  });

  test("shows nothing of itself to who is not accepted", async () => {
    const other = await stranger.issue("server", { usage: ["server"] });
    const server = tls.createServer({
      cert: other.certificate,
      key: other.key,
      requestCert: true,
      rejectUnauthorized: false,
    });
    let met = 0;
    server.on("secureConnection", () => met++);
    const gone = once(server, "tlsClientError");
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const client = { credentials: await credentials("client") };
    await failure(connect(`tcp:127.0.0.1:${port}`, { tls: client }));
    await gone;
    expect(met).toBe(0);
    server.close();
  });

  test("with a shared key refuses who shows any certificate instead", async () => {
    const { here } = await refusal(shared.client, { credentials: await credentials("server") });
    expect(here).toMatch(/the destination uses a certificate, and this side has a pre-shared key$/u);
  });

  test("is told of a side without TLS", async () => {
    const server = net.createServer((socket) => socket.on("error", () => undefined).end("QEVM"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const error = await failure(connect(`tcp:127.0.0.1:${port}`, { tls: sides.client }));
    expect(error.code).toBe("TLS_FAILED");
    expect(error.message).toMatch(/what came is no TLS|ended the connection before that: it has no TLS/u);
    server.close();
  });

  test("can be given up during the handshake", async () => {
    const server = net.createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const abort = new AbortController();
    const connecting = failure(connect(`tcp:127.0.0.1:${port}`, { tls: sides.client, signal: abort.signal }));
    const [socket] = (await once(server, "connection")) as [net.Socket];
    socket.on("error", () => undefined);
    const gone = once(socket.resume(), "close");
    abort.abort();
    expect((await connecting).code).toBe("CANCELLED");
    await gone;
    server.close();
  });
});

describe("a server", () => {
  test.each<[string, CertificateOptions & { issuer?: "stranger" }, RegExp]>([
    [
      "that has expired",
      { from: -3, to: -1 },
      /the source's certificate expired on .+ UTC: renew client-cert\.pem there$/u,
    ],
    [
      "of a server",
      { usage: ["server"] },
      /\(CN=client\) is not meant for a client: its extended key usage has to have clientAuth$/u,
    ],
    [
      "of another authority",
      { issuer: "stranger" },
      /\(CN=client\) was not issued by an authority that this side knows/u,
    ],
  ])("refuses a certificate %s, and the client is told why", async (_what, { issuer, ...options }, text) => {
    const how = issuer === undefined ? options : { ...options, issuer: stranger };
    const client = { credentials: await credentials("client", how) };
    const { here, there } = await refusal(client, { credentials: await credentials("server") });
    expect(there).toMatch(text);
    expect(here).toMatch(/^The destination '127\.0\.0\.1:\d+' refused this side: TLS with /u);
    expect(here).toMatch(text);
  });

  test("refuses a client without a certificate, unless it asks for none", async () => {
    const server = await credentials("server");
    const client = { credentials: { ...(await credentials("client")), own: undefined } };
    const { here, there } = await refusal(client, { credentials: server });
    expect(there).toMatch(
      /the source has shown no certificate: its credentials need client-cert\.pem and client-key\.pem$/u,
    );
    expect(here).toContain(there);
    await connected(await listening({ credentials: { ...server, verifyPeer: false } }), client);
  });

  test("refuses by name who is not allowed", async () => {
    const server = { credentials: await credentials("server") };
    const subject = "C=GB,O=Example Home,CN=mover";
    const client = { credentials: await credentials("client", { subject }) };
    const denied = {
      ...server,
      authorization: { kind: "simple", id: "who", identity: "CN=another" },
    } as const;
    const { here, there } = await refusal(client, denied);
    expect(there).toMatch(/'who' \(tls-authz\) does not allow 'C=GB,O=Example Home,CN=mover' to connect$/u);
    expect(here).toContain(there);
    const allowed = { ...server, authorization: { kind: "simple", id: "who", identity: subject } } as const;
    await connected(await listening(allowed), client);
  });

  test("looks into a list on the disk each time, and lets nobody in without it", async () => {
    const path = join(folder, "who.json");
    const rules = (match: string): string =>
      JSON.stringify({ rules: [{ match, policy: "allow", format: "glob" }], policy: "deny" });
    await writeFile(path, rules("CN=other*"));
    const authorization = { kind: "list-file", id: "who", path, contents: undefined } as const;
    const there = await listening({ credentials: await credentials("server"), authorization });
    const client = { credentials: await credentials("client") };
    expect((await failure(connect(there.uri, { tls: client }))).message).toMatch(
      /does not allow 'CN=client'/u,
    );
    await writeFile(path, rules("CN=cli*"));
    await connected(there, client);
    await rm(path);
    expect((await failure(connect(there.uri, { tls: client }))).message).toContain("Could not open");
  });

  test("with shared keys lets in who has one, and knows by which name", async () => {
    const allowed = {
      ...shared.server,
      authorization: { kind: "simple", id: "who", identity: "qemu" },
    } as const;
    await connected(await listening(allowed), shared.client);
    const denied = {
      ...shared.server,
      authorization: { kind: "simple", id: "who", identity: "other" },
    } as const;
    expect((await refusal(shared.client, denied)).there).toMatch(
      /'who' \(tls-authz\) does not allow 'qemu' to connect$/u,
    );
  });

  test.each([
    ["a wrong key", { username: "qemu", keys: new Map([["qemu", "00".repeat(32)]]) }],
    ["an unknown name", { username: "nobody", keys: new Map([["nobody", "00".repeat(32)]]) }],
  ])("with shared keys refuses %s", async (_what, other) => {
    const client = { credentials: { ...shared.client.credentials, ...other } } as ClientTls;
    const { here, there } = await refusal(client, shared.server);
    expect(here).toMatch(/both tls-creds-psk with the same key|the two sides do not have the same key/u);
    expect(there).toMatch(/both tls-creds-psk|the two sides do not have the same key/u);
  });

  test("with shared keys and a client with certificates have nothing in common", async () => {
    const { here } = await refusal(sides.client, shared.server);
    expect(here).toMatch(/the two sides have no kind of TLS in common/u);
  });

  test("is not disturbed by plain bytes", async () => {
    const there = await listening(sides.server);
    const plain = await connect(there.uri);
    open.push(plain);
    await plain.write(Buffer.from("QEVM\0\0\0\x03"));
    await readAll(plain).catch(() => undefined);
    expect(there.refused).toMatchObject([
      { code: "TLS_FAILED", message: expect.stringContaining("what came is no TLS") },
    ]);
    const [client, server] = await connected(there, sides.client);
    await client.write(Buffer.from("guest"));
    await client.end();
    expect((await readAll(server)).toString()).toBe("guest");
  });

  test("is not kept busy by those who say nothing: of too many the oldest is dropped", async () => {
    const there = await listening(sides.server);
    const { port } = there.listener.address as { readonly port: number };
    const gone: boolean[] = [];
    const closings: Promise<unknown>[] = [];
    for (let count = 0; count < 65; count++) {
      const socket = net.connect({ host: "127.0.0.1", port });
      open.push(socket);
      socket.on("error", () => undefined).resume();
      closings.push(once(socket, "close").then(() => (gone[count] = true)));
      await once(socket, "connect");
    }
    await closings[0];
    await connected(there, sides.client);
    // The proper one has taken a place, too.
    await closings[1];
    expect(gone[2]).toBeUndefined();
  });

  test("drops who is not known when it is closed", async () => {
    const there = await listening(sides.server);
    const { port } = there.listener.address as { readonly port: number };
    const socket = net.connect({ host: "127.0.0.1", port });
    await once(socket, "connect");
    await connected(there, sides.client);
    const gone = once(
      socket.resume().on("error", () => undefined),
      "close",
    );
    await there.listener.close();
    await gone;
    expect(there.refused).toEqual([]);
  });
});

test.each(["exec:cat", "fd:0", "ws://127.0.0.1:0/", "file:/tmp/none"])("%s has no TLS", async (uri) => {
  expect((await failure(connect(uri, { tls: sides.client }))).code).toBe("BAD_PARAMETER");
  expect((await failure(listen(uri, { tls: sides.server }))).code).toBe("BAD_PARAMETER");
});

test("over wss both sides are told in the same words", async () => {
  const server = { credentials: await credentials("server") };
  const client = { credentials: await credentials("client", { issuer: stranger }) };
  const { here, there } = await refusal(client, server, "wss://127.0.0.1:0/guests");
  expect(there).toMatch(/\(CN=client\) was not issued by an authority that this side knows/u);
  expect(here).toMatch(/^The destination '127\.0\.0\.1:\d+' refused this side: /u);
  expect(here).toContain(there);
});

test("credentials that cannot be used are found when the listener is made", async () => {
  const good = await credentials("server");
  const other = await authority.issue("other");
  const broken = { ...good, own: { certificate: good.own!.certificate, key: other.key } };
  const error = await failure(listen("tcp:127.0.0.1:0", { tls: { credentials: broken } }));
  expect(error.code).toBe("BAD_CREDENTIALS");
  expect(error.message).toContain("The credentials 'tls0' in '/pki' cannot be used: ");
});
