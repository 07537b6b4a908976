import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

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

async function startBusy(): Promise<TestProcess> {
  const source = peregrine.start(...BUSY);
  await source.printed("stdout", /sweep 2\n/u);
  return source;
}

test("a migration is cancelled by another command; the next one can start", async () => {
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  const source = await startBusy();
  const migrate = peregrine.start("migrate", "a", address, ...SLOWLY);
  await migrate.printed("stdout", /^pass \d+/u);
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
  const [next, second] = await peregrine.receive("tcp:127.0.0.1:0", "c");
  expect(await peregrine.run("migrate", "a", second)).toMatchObject({ status: 0 });
  expect(await source.finished()).toMatchObject({ status: 0 });
  await next.printed("stdout", /sweep \d+\nsweep/u);
});

test("ctrl-C cancels the migration and not the guest", async () => {
  const [, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  const source = await startBusy();
  const migrate = peregrine.start("migrate", "a", address, ...SLOWLY);
  await migrate.printed("stdout", /^pass \d+/u);
  migrate.signal("SIGINT");
  expect(await migrate.finished()).toMatchObject({
    status: 130,
    stderr: expect.stringContaining("CANCELLED"),
  });
  expect(await peregrine.report("a")).toMatchObject({
    status: "running",
    owner: "owner",
    migration: { status: "cancelled" },
  });
  const sweeps = source.stdout.length;
  await source.printed("stdout", new RegExp(`^[^]{${sweeps}}[^]*sweep \\d+\n`, "u"));
});

test("a receiver that waits ends by a signal and takes its sockets along", async () => {
  const [destination] = await peregrine.receive(`unix:${peregrine.directory}/b`, "b");
  destination.signal("SIGTERM");
  expect((await destination.finished()).status).toBe(143);
  expect(existsSync(join(peregrine.directory, "b"))).toBe(false);
  expect(existsSync(join(peregrine.directory, "b.sock"))).toBe(false);
});

test("a stream that is none fails the load", async () => {
  const [destination, address] = await peregrine.receive(`unix:${peregrine.directory}/b`, "b");
  connect(address.replace("unix:", "")).end("this is no migration stream");
  const { status, stderr } = await destination.finished();
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /\nperegrine: NOT_A_STREAM: [^\n]+\nperegrine: load of migration failed: [^\n]+\n$/u,
  );
});

test("the JSON objects end with the outcome, also when the agent is gone", async () => {
  const [, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  const source = await startBusy();
  const migrate = peregrine.start("migrate", "a", address, "--json", ...SLOWLY);
  await migrate.printed("stdout", /"status":"active"/u);
  source.signal("SIGKILL");
  const { status, stdout, stderr } = await migrate.finished();
  expect(status).toBe(1);
  expect(stderr).toMatch(/^peregrine: CHANNEL_FAILED: [^\n]+\n$/u);
  expect(JSON.parse(stdout.trimEnd().split("\n").at(-1)!)).toMatchObject({
    status: "failed",
    code: "CHANNEL_FAILED",
  });
});
