import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { guests, pathOf } from "../../examples/guests/guests.ts";
import { Host, migrate, migrationEnd, type PeregrineProcess } from "./agent-process.ts";
import { runUndisturbed, type RunOutcome } from "./undisturbed.ts";

const HAND_OVER = fileURLToPath(new URL("hand-over.py", import.meta.url));
const adder = guests.find(({ name }) => name === "console")!;
const FIRST_COMMANDS = "12\n30\n";
const WAITS_FOR_OTHERS = /\[3\] sum=42> $/;
const OTHER_COMMANDS = "history\nsum\nquit 7\n";

let expected: RunOutcome;
let certificates: string;

beforeAll(async () => {
  expected = await runUndisturbed({ ...adder, stdin: FIRST_COMMANDS + OTHER_COMMANDS });
  certificates = mkdtempSync(join(tmpdir(), "peregrine-certificates-"));
  const request = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1
    -keyout ${certificates}/key.pem -out ${certificates}/cert.pem`;
  execFileSync("openssl", request.split(/\s+/u), { stdio: "ignore" });
});

afterAll(() => rmSync(certificates, { recursive: true }));

/** Gives the program its first commands, has `move` get it elsewhere, gives it the others, and compares. */
async function moved(
  move: (host: Host, source: PeregrineProcess) => Promise<PeregrineProcess>,
): Promise<void> {
  await using host = await Host.create();
  const source = await host.run(pathOf(adder.file), ["--allow-exec"], []);
  source.child.stdin!.write(FIRST_COMMANDS);
  await source.until("stdout", WAITS_FOR_OTHERS);
  const destination = await move(host, source);
  destination.child.stdin!.end(OTHER_COMMANDS);
  expect(await destination.ended).toEqual({ status: expected.status, signal: null });
  expect(destination.stdout.bytes.length).toBeGreaterThan(0);
  expect(source.stdout.text + destination.stdout.text).toBe(expected.stdout.toString());
}

/** Starts a destination that waits there. Resolves with the address it says. */
async function receive(host: Host, uri: string, ...options: string[]): Promise<[PeregrineProcess, string]> {
  const agent = host.start(["receive", uri, "--name", "destination", ...options], "destination");
  const [, address] = await agent.until("stderr", /is awaited on (.+)\n/);
  return [agent, address!];
}

async function send(
  host: Host,
  source: PeregrineProcess,
  uri: string,
  ...options: string[]
): Promise<string> {
  const command = host.start(["migrate", source.name, uri, ...options]);
  const { status } = await command.ended;
  expect({ status, error: command.stderr.text }).toEqual({ status: 0, error: "" });
  return command.stdout.text;
}

describe("a program is moved", () => {
  it("by commands, which keep it compressed in between", async () => {
    await moved(async (host, source) => {
      const file = join(host.directory, "program.gz");
      const said = await send(host, source, `exec:gzip -1 > ${file}`, "--allow-exec");
      expect(said).toMatch(/nobody was asked whether it has arrived/);
      expect(await source.execute("x-peregrine-info")).toMatchObject({ owner: "undecided" });
      const [agent] = await receive(host, `exec:gzip -dc ${file}`, "--allow-exec");
      return agent;
    });
  });

  it("over a socket that a client of the monitor has handed over", async () => {
    await moved(async (host, source) => {
      const [agent, address] = await receive(host, "tcp:127.0.0.1:0");
      const [, port] = /:(\d+)$/.exec(address)!;
      const monitor = join(host.directory, `${source.name}.sock`);
      const { stdout } = await promisify(execFile)("python3", [HAND_OVER, monitor, "127.0.0.1", port!]);
      expect(
        stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as unknown),
      ).toEqual([
        "No file descriptor supplied via SCM_RIGHTS",
        "Parameter 'fdname' expects a name not starting with a digit",
        "File descriptor named 'destination' not found",
        {},
        {},
        // The migration has used the name up.
        "File descriptor named 'destination' not found",
      ]);
      expect(await migrationEnd(source)).toMatchObject({ status: "completed" });
      return agent;
    });
  });

  it.each([
    { options: [], take: [] },
    { options: ["--parallel", "2"], take: ["--parallel", "2"] },
  ])("over WebSockets, with $options", async ({ options, take }) => {
    await moved(async (host, source) => {
      const [agent, address] = await receive(host, "ws://127.0.0.1:0/guests", ...take);
      await send(host, source, address, ...options);
      return agent;
    });
  });

  it("over WebSockets with TLS", async () => {
    await moved(async (host, source) => {
      const [cert, key] = [`${certificates}/cert.pem`, `${certificates}/key.pem`];
      const [agent, address] = await receive(host, `wss://localhost:0/?cert=${cert}&key=${key}`);
      expect(address).toMatch(/^wss:\/\/localhost:\d+\/$/);
      const refused = host.start(["migrate", source.name, address]);
      expect((await refused.ended).status).toBe(1);
      expect(refused.stderr.text).toMatch(
        /^peregrine: TLS_FAILED: .* the destination's certificate \(CN=localhost\) was not issued by an authority/,
      );
      await send(host, source, `${address}?ca=${cert}`);
      return agent;
    });
  });
});

describe("a command that fails", () => {
  it("fails the migration with its status, and the program runs on at the source", async () => {
    await using host = await Host.create();
    const source = await host.run(
      pathOf("torture.wasm"),
      ["--allow-exec"],
      ["--mib", "4", "--rate", "16", "--sweeps", "100000"],
    );
    expect(await migrate(source, "exec:cat > /dev/null; echo the disk is full >&2; exit 28")).toMatchObject({
      status: "failed",
      "error-desc":
        "The command 'cat > /dev/null; echo the disk is full >&2; exit 28' ended with exit status 28",
    });
    expect(source.stderr.text).toMatch(/the disk is full\n/);
    expect(await source.execute("query-status")).toMatchObject({ status: "running" });
    const next = await host.receive("unix");
    expect(await migrate(source, next.uri)).toMatchObject({ status: "completed" });
  });

  it("fails the load, also behind the last byte", async () => {
    await using host = await Host.create();
    const source = await host.run(
      pathOf("torture.wasm"),
      ["--allow-exec"],
      ["--mib", "4", "--rate", "16", "--sweeps", "100000"],
    );
    const file = join(host.directory, "program");
    expect(await migrate(source, `exec:cat > ${file}`)).toMatchObject({ status: "completed" });
    const agent = host.start(["receive", `exec:cat ${file}; exit 5`, "--allow-exec"]);
    expect((await agent.ended).status).toBe(1);
    expect(agent.stderr.text).toContain(`The command 'cat ${file}; exit 5' ended with exit status 5`);
    expect(agent.stdout.text).toBe("");
  });

  it("can be waited for, and cancelled, when it does not end", async () => {
    await using host = await Host.create();
    const source = await host.run(
      pathOf("torture.wasm"),
      ["--allow-exec"],
      ["--mib", "4", "--rate", "16", "--sweeps", "100000"],
    );
    const read = join(host.directory, "read");
    const migration = migrate(source, `exec:cat > /dev/null; touch ${read}; sleep 1000`);
    const waits = promisify(execFile)("sh", ["-c", `until [ -e ${read} ]; do sleep 0.02; done`]);
    await waits;
    await source.execute("migrate_cancel");
    expect(await migration).toMatchObject({ status: "cancelled" });
    const length = source.stdout.bytes.length;
    while (source.stdout.bytes.length === length) await source.stdout.change();
    expect(await source.execute("query-status")).toMatchObject({ status: "running" });
  });
});
