import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

/** Waits for input: it is where the test wants it, however fast the host is. */
const CONSOLE = ["run", guest("console"), "--name", "a"];
const PROMPT = /\[2\] sum=12> $/u;
/** What it prints for the input `12`, `sum`, `quit 7`. */
const UNDISTURBED =
  "[1] sum=0> added 12, sum is 12\n[2] sum=12> sum is 12\n[3] sum=12> bye after 1 entries, sum 12\n";

/** Dirties memory faster than {@link SLOWLY} sends it, and never ends. */
const BUSY = [
  "run",
  guest("torture"),
  "--name",
  "a",
  "--",
  "--mib",
  "4",
  "--rate",
  "64",
  "--sweeps",
  "0",
  "--every",
  "1",
];
const SLOWLY = ["--bandwidth", "1M"];

/** Waits for a guest as `name`. @returns the process, and where it waits. */
async function receive(
  uri: string,
  name: string,
  ...options: readonly string[]
): Promise<[TestProcess, string]> {
  const process = peregrine.start("receive", uri, "--name", name, ...options);
  const [, address] = await process.printed("stderr", /is awaited on (.+)\n/u);
  return [process, address!];
}

/** Starts a guest that has had its first line of input. */
async function startConsole(...options: readonly string[]): Promise<TestProcess> {
  const source = peregrine.start(...CONSOLE, ...options);
  source.write("12\n");
  await source.printed("stdout", PROMPT);
  return source;
}

async function startBusy(): Promise<TestProcess> {
  const source = peregrine.start(...BUSY);
  await source.printed("stdout", /sweep 2\n/u);
  return source;
}

/** Gives the guest the rest of its input, and checks that nothing was lost on its way. */
async function finishAt(last: TestProcess, ...before: readonly TestProcess[]): Promise<void> {
  last.write("sum\nquit 7\n");
  const { status, stdout } = await last.finished();
  expect(before.map((process) => process.stdout).join("") + stdout).toBe(UNDISTURBED);
  expect(status).toBe(7);
}

async function infoOf(name: string): Promise<Record<string, unknown>> {
  const { stdout } = await peregrine.run("info", name, "--json");
  return JSON.parse(stdout) as Record<string, unknown>;
}

test.each(["tcp:127.0.0.1:0", "unix"])("a guest moves over %s, and goes on where it was", async (uri) => {
  const [destination, address] = await receive(uri === "unix" ? `unix:${peregrine.directory}/b` : uri, "b");
  const source = await startConsole();
  const migrate = await peregrine.run("migrate", "a", address);
  expect(migrate).toMatchObject({ status: 0, stderr: "" });
  expect(migrate.stdout).toMatch(/^moved in .*, downtime \d+ ms \(stop .*\)\n$/mu);
  expect(await source.finished()).toMatchObject({
    status: 0,
    stderr: `peregrine: The guest has moved to ${address}\n`,
  });
  await finishAt(destination, source);
});

test("a guest moves there and back; JSON tells how", async () => {
  const [there, first] = await receive("tcp:127.0.0.1:0", "b");
  const source = await startConsole();
  const migrate = await peregrine.run("migrate", "a", first, "--json");
  const lines = migrate.stdout.trimEnd().split("\n");
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({
    status: "completed",
    downtime: expect.any(Number),
    downtimeParts: { total: expect.any(Number) },
  });
  expect((await source.finished()).status).toBe(0);
  const [back, second] = await receive("tcp:127.0.0.1:0", "a");
  expect(await peregrine.run("migrate", "b", second)).toMatchObject({ status: 0 });
  expect((await there.finished()).status).toBe(0);
  await finishAt(back, source, there);
});

test("-S leaves the guest paused at the destination, --keep the agent at the source", async () => {
  const [destination, address] = await receive("tcp:127.0.0.1:0", "b", "-S");
  const source = await startConsole("--keep");
  expect(await peregrine.run("migrate", "a", address)).toMatchObject({ status: 0 });
  expect(await infoOf("b")).toMatchObject({ status: "paused", role: "destination", owner: "owner" });
  expect(await infoOf("a")).toMatchObject({ status: "postmigrate", owner: "not-owner" });
  expect(await peregrine.run("cont", "a")).toMatchObject({ status: 1 });
  expect(await peregrine.run("cont", "b")).toMatchObject({ status: 0 });
  await finishAt(destination, source);
});

test("a dead port is told, and the guest runs on", async () => {
  const [destination, address] = await receive("tcp:127.0.0.1:0", "b");
  await destination.kill();
  const source = await startConsole();
  const { status, stdout, stderr } = await peregrine.run("migrate", "a", address);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(/^peregrine: CONNECT_FAILED: [^\n]+\n$/u);
  await finishAt(source);
});

test("a migration is cancelled by another command; the next one can start", async () => {
  const [destination, address] = await receive("tcp:127.0.0.1:0", "b");
  const source = await startBusy();
  const migrate = peregrine.start("migrate", "a", address, ...SLOWLY);
  await migrate.printed("stdout", /^pass 1/u);
  expect(await peregrine.run("migrate", "a", address)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("IN_PROGRESS"),
  });
  expect(await peregrine.run("cancel", "a")).toMatchObject({ status: 0 });
  expect(await migrate.finished()).toMatchObject({ status: 1, stderr: expect.stringContaining("CANCELLED") });
  const failed = await destination.finished();
  expect(failed.status).toBe(1);
  expect(failed.stderr).toMatch(
    /\nperegrine: [A-Z_]+: [^\n]+\nperegrine: load of migration failed: [^\n]+\n$/u,
  );
  const [next, second] = await receive("tcp:127.0.0.1:0", "c");
  expect(await peregrine.run("migrate", "a", second)).toMatchObject({ status: 0 });
  expect(await source.finished()).toMatchObject({ status: 0 });
  await next.printed("stdout", /sweep \d+\nsweep/u);
});

test("ctrl-C cancels the migration and not the guest", async () => {
  const [, address] = await receive("tcp:127.0.0.1:0", "b");
  const source = await startBusy();
  const migrate = peregrine.start("migrate", "a", address, ...SLOWLY);
  await migrate.printed("stdout", /^pass 1/u);
  migrate.signal("SIGINT");
  expect(await migrate.finished()).toMatchObject({
    status: 130,
    stderr: expect.stringContaining("CANCELLED"),
  });
  expect(await infoOf("a")).toMatchObject({
    status: "running",
    owner: "owner",
    migration: { status: "cancelled" },
  });
  const sweeps = source.stdout.length;
  await source.printed("stdout", new RegExp(`^[^]{${sweeps}}[^]*sweep \\d+\n`, "u"));
});

test("a receiver that waits ends by a signal and takes its sockets along", async () => {
  const [destination] = await receive(`unix:${peregrine.directory}/b`, "b");
  destination.signal("SIGTERM");
  expect((await destination.finished()).status).toBe(143);
  expect(existsSync(join(peregrine.directory, "b"))).toBe(false);
  expect(existsSync(join(peregrine.directory, "b.sock"))).toBe(false);
});

test("a stream that is none fails the load", async () => {
  const [destination, address] = await receive(`unix:${peregrine.directory}/b`, "b");
  connect(address.replace("unix:", "")).end("this is no migration stream");
  const { status, stderr } = await destination.finished();
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /\nperegrine: NOT_A_STREAM: [^\n]+\nperegrine: load of migration failed: [^\n]+\n$/u,
  );
});
