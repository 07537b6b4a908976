import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

/** Dirties 16 MiB as fast as it can: at 4 MiB/s there is no end. */
const HOT = ["run", guest("torture"), "--name", "a"];
const HOT_ARGS = ["--", "--mib", "16", "--rate", "0", "--sweeps", "1000000"];
const SLOWLY = ["--bandwidth", "4M", "--downtime", "1"];

async function startHot(...options: readonly string[]): Promise<TestProcess> {
  const source = peregrine.start(...HOT, ...options, ...HOT_ARGS);
  // Before that it has pages of zeros, which take next to no time.
  await source.printed("stdout", /^sweep 1\n/mu);
  return source;
}

/** A guest arrives a moment after its source has been told so. */
async function expectSoon(name: string, report: Record<string, unknown>): Promise<void> {
  await expect.poll(() => peregrine.report(name), { timeout: 10_000 }).toMatchObject(report);
}

test("a migration that takes too long is cancelled, and the guest runs on", async () => {
  const [, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  const source = await startHot();
  const limits = ["--timeout", "1", "--on-timeout", "cancel"];
  const { status, stdout, stderr } = await peregrine.run("migrate", "a", address, ...SLOWLY, ...limits);
  expect(status).toBe(1);
  expect(stdout).toContain("1 s are over: the migration is cancelled\n");
  expect(stderr).toContain("CANCELLED");
  expect(await peregrine.report("a")).toMatchObject({ status: "running", owner: "owner" });
  const printed = source.stdout.length;
  await source.printed("stdout", new RegExp(`^[^]{${printed}}[^]*\\n`, "u"));
});

test("one that takes too long stops the guest for what is left, if it is to", async () => {
  const [, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  await startHot();
  const limits = ["--timeout", "1", "--on-timeout", "force", "--json"];
  const { status, stdout } = await peregrine.run("migrate", "a", address, ...SLOWLY, ...limits);
  expect(status).toBe(0);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toContainEqual({
    status: "active",
    note: "1 s are over: the guest is stopped for what is left",
  });
  // More was left than the downtime allowed: it was the time that ended it.
  expect(lines.at(-1)).toMatchObject({ status: "completed", moved: true, totalTime: expect.any(Number) });
  expect(lines.at(-1)!["totalTime"]).toBeGreaterThanOrEqual(1000);
  await expectSoon("b", { status: "running" });
});

test("one that takes too long slows the guest down until it ends by itself, if it is to", async () => {
  const [, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  // It dirties all of its 32 MiB again and again, of which a tenth of a second of the link is 10 MiB.
  const source = peregrine.start(...HOT, "--", "--mib", "32", "--rate", "0", "--sweeps", "100000000");
  // Before that it has pages of zeros, which take next to no time.
  await source.printed("stdout", /^sweep 1\n/mu);
  const monitor = await peregrine.connect("a");
  await monitor.execute("migrate-set-parameters", { "cpu-throttle-initial": 99 });
  await monitor.close();
  const limits = ["--bandwidth", "100M", "--downtime", "100", "--timeout", "1", "--on-timeout", "throttle"];
  const { status, stdout } = await peregrine.run("migrate", "a", address, ...limits);
  expect({ status, stdout }).toMatchObject({ status: 0 });
  expect(stdout).toContain("1 s are over: the guest is slowed down\n");
  await expectSoon("b", { status: "running" });
});

test("a guest that is to be paused at its destination is, and goes on there when it is told to", async () => {
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  const source = peregrine.start("run", guest("console"), "--name", "a");
  source.write("12\n");
  await source.printed("stdout", /\[2\]/u);
  expect(await peregrine.run("migrate", "a", address, "--paused")).toMatchObject({ status: 0 });
  await expectSoon("b", { status: "paused", owner: "owner" });
  expect(await peregrine.run("cont", "b")).toMatchObject({ status: 0 });
  destination.write("quit 7\n");
  expect(await destination.finished()).toMatchObject({ status: 7 });
});
