import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestAuthority, writeCredentials } from "@peregrine/transport/testing/certificates";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { guests, pathOf } from "../../examples/guests/guests.ts";
import { Host, type PeregrineProcess } from "./agent-process.ts";

const adder = guests.find(({ name }) => name === "console")!;
const FIRST_COMMANDS = "12\n30\n";
const WAITS_FOR_OTHERS = /\[3\] sum=42> $/;
const OTHER_COMMANDS = "sum\nquit 7\n";
const QUIT_STATUS = 7;

let folder: string;
/** Of a source that is known, and of one that is not. */
let pki: string;
let strange: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-pki-"));
  const [authority, another] = await Promise.all([TestAuthority.create(), TestAuthority.create("another")]);
  pki = await writeCredentials(join(folder, "pki"), {
    authorities: authority.certificate,
    server: await authority.issue("server", { usage: ["server"] }),
    client: await authority.issue("client", { usage: ["client"] }),
  });
  strange = await writeCredentials(join(folder, "strange"), {
    authorities: authority.certificate,
    client: await another.issue("stranger", { usage: ["client"] }),
  });
});

afterAll(() => rm(folder, { recursive: true }));

const as = (endpoint: "client" | "server", directory: string): string[] => [
  "--object",
  `tls-creds-x509,id=${endpoint},dir=${directory},endpoint=${endpoint}`,
  "--tls-creds",
  endpoint,
];

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly code?: string;
  readonly text: string;
}

/** What `peregrine doctor` finds, and its status. */
async function doctor(
  host: Host,
  ...args: string[]
): Promise<{ status: number | null; checks: readonly Finding[] }> {
  const command = host.start(["doctor", ...args, "--json"]);
  const { status } = await command.ended;
  const { ok, checks } = JSON.parse(command.stdout.text) as { ok: boolean; checks: Finding[] };
  expect(ok).toBe(status === 0);
  return { status, checks };
}

async function asking(host: Host): Promise<PeregrineProcess> {
  const source = await host.run(pathOf(adder.file), [], []);
  source.child.stdin!.write(FIRST_COMMANDS);
  await source.until("stdout", WAITS_FOR_OTHERS);
  return source;
}

async function expectGoesOn(destination: PeregrineProcess): Promise<void> {
  destination.child.stdin!.end(OTHER_COMMANDS);
  expect(await destination.ended).toEqual({ status: QUIT_STATUS, signal: null });
  expect(destination.stdout.text).toContain("42");
}

/** Runs a command of `peregrine`. */
async function peregrine(host: Host, ...args: string[]): Promise<{ status: number | null; stderr: string }> {
  const command = host.start(args);
  const { status } = await command.ended;
  return { status, stderr: command.stderr.text };
}

describe.concurrent("a program moves over TLS", () => {
  it.each([
    ["tcp:127.0.0.1:0", ["--parallel", "2"]],
    ["wss://127.0.0.1:0/guests", []],
  ])("on %s, after others who were looked at and refused", async (address, more) => {
    await using host = await Host.create();
    const source = await asking(host);
    const receives = ["receive", address, "--name", "destination", ...as("server", pki), ...more];
    const destination = host.start(receives, "destination");
    const [, uri] = await destination.until("stderr", /is awaited on (.+)\n/);

    const found = await doctor(host, uri!, ...as("client", pki));
    expect(found.checks.filter(({ status }) => status === "failed")).toEqual([]);
    expect(found.status).toBe(0);
    expect(found.checks).toContainEqual({
      check: "tls",
      status: "ok",
      text: "each side accepts the other one",
    });

    const strangers = await doctor(host, uri!, ...as("client", strange));
    expect(strangers.status).toBe(1);
    expect(strangers.checks.at(-1)).toMatchObject({
      check: "tls",
      status: "failed",
      code: "TLS_FAILED",
      text: expect.stringContaining("the source's certificate (CN=stranger) was not issued by an authority"),
    });
    await destination.until("stderr", /TLS_FAILED: .+\(CN=stranger\) was not issued by an authority/);

    const refused = await peregrine(host, "migrate", source.name, uri!, ...as("client", strange));
    expect(refused).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/refused this side: .+\(CN=stranger\)/),
    });
    const plain = await peregrine(host, "migrate", source.name, uri!, "--no-tls");
    expect(plain.status).toBe(1);

    const parallel = more.length === 0 ? [] : ["--parallel", "2,zstd"];
    const sent = await peregrine(host, "migrate", source.name, uri!, ...as("client", pki), ...parallel);
    expect(sent).toMatchObject({ status: 0 });
    await expectGoesOn(destination);
  });
});

describe.concurrent("peregrine doctor", () => {
  it("does not use up a destination without TLS, and says that there is none", async () => {
    await using host = await Host.create();
    const source = await asking(host);
    const { agent, uri } = await host.receive("tcp");
    const plain = await doctor(host, uri);
    expect(plain.status).toBe(0);
    expect(plain.checks.at(-1)).toMatchObject({ check: "tls", status: "note" });
    const secure = await doctor(host, uri, ...as("client", pki));
    expect(secure.checks.at(-1)).toMatchObject({ check: "tls", status: "failed", code: "TLS_FAILED" });
    await agent.until("stderr", /TLS_FAILED: The source '.+' wants TLS, and there is none here/);
    expect(await peregrine(host, "migrate", source.name, uri)).toMatchObject({ status: 0 });
    await expectGoesOn(agent);
  });

  it("names what is wrong with an address, a name, a file and the memory", async () => {
    await using host = await Host.create();
    const socket = join(host.directory, "none");
    const missing = await doctor(host, `unix:${socket}`, "--memory", "4000T");
    expect(missing.status).toBe(1);
    expect(missing.checks.filter(({ status }) => status === "failed")).toMatchObject([
      { check: "memory", code: "LIMIT_EXCEEDED" },
      { check: "reach", code: "CONNECT_FAILED", text: expect.stringContaining("there is no such socket") },
    ]);
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const taken = await doctor(host, `tcp:127.0.0.1:${port}`, "--incoming");
    expect(taken.checks.at(-1)).toMatchObject({
      check: "listen",
      status: "failed",
      code: "LISTEN_FAILED",
      text: expect.stringContaining("another process has it"),
    });
    server.close();
    await once(server, "close");
    const free = await doctor(host, `tcp:127.0.0.1:${port}`, "--incoming", ...as("server", pki));
    expect(free).toMatchObject({ status: 0 });
    const gone = await doctor(host, `tcp:127.0.0.1:${port}`);
    expect(gone.checks.at(-1)).toMatchObject({
      check: "reach",
      text: expect.stringContaining("nobody waits there"),
    });
    const empty = await doctor(host, `tcp:127.0.0.1:${port}`, ...as("server", strange));
    expect(empty.checks.filter(({ status }) => status === "failed")).toMatchObject([
      {
        check: "object server",
        code: "BAD_CREDENTIALS",
        text: expect.stringMatching(/server-cert\.pem': No such file/),
      },
    ]);
  });
});
