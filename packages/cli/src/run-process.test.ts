import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { QmpClient } from "@peregrine/monitor";
import { expect, test } from "vitest";
import { guest, TOKEN, usePeregrine } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

/** Runs for ever. */
const ENDLESS = [guest("torture"), "--name", "t", "--", "--mib", "1", "--rate", "4", "--sweeps", "0"];

test("a guest's output and exit status are the command's", async () => {
  const process = peregrine.start("run", guest("console"));
  process.write("12\nsum\nquit 7\n");
  expect(await process.finished()).toEqual({
    status: 7,
    stdout:
      "[1] sum=0> added 12, sum is 12\n[2] sum=12> sum is 12\n[3] sum=12> bye after 1 entries, sum 12\n",
    stderr: "",
  });
  expect(readdirSync(peregrine.directory)).toEqual([]);
});

test("a guest is seen in list and info while it runs", async () => {
  const process = peregrine.start("run", ...ENDLESS);
  await process.printed("stdout", /sweep 1\n/u);
  const listed = await peregrine.run("list");
  expect(listed.stdout).toMatch(new RegExp(`^NAME .*\nt +${process.pid} +running .*torture.wasm\n$`, "u"));
  const info = await peregrine.run("info", "t", "--json");
  expect(JSON.parse(info.stdout)).toMatchObject({
    name: "t",
    pid: process.pid,
    machine: "wasm-1",
    program: guest("torture"),
    status: "running",
    role: "source",
    owner: "owner",
    migration: {},
    progress: null,
    error: null,
  });
  expect((await peregrine.run("info", "t")).stdout).toContain("held by    this side\n");
  expect(await peregrine.run("quit", "t")).toMatchObject({ status: 0 });
  expect(await process.finished()).toMatchObject({ status: 0 });
  expect(JSON.parse((await peregrine.run("list", "--json")).stdout)).toEqual([]);
});

test("-S waits for cont, and stop holds", async () => {
  const process = peregrine.start("run", "-S", ...ENDLESS, "--every", "1");
  await waitForState("t", "prelaunch");
  expect(process.stdout).toBe("");
  expect(await peregrine.run("cont", "t")).toMatchObject({ status: 0 });
  await process.printed("stdout", /sweep 1\n/u);
  expect(await peregrine.run("stop", "t")).toMatchObject({ status: 0 });
  await waitForState("t", "paused");
});

/** The socket is there a moment before the guest is. */
async function waitForState(name: string, state: string): Promise<void> {
  for (;;) {
    const report = await peregrine.report(name).catch(() => undefined);
    if (report?.["status"] === state) return;
    await delay(10);
  }
}

test("the guest gets its arguments, environment and directories", async () => {
  const script = `print(os.getenv("GREETING"), 1); io.open("/data/made", "w"):close()`;
  const { status, stdout } = await peregrine.run(
    "run",
    guest("lua"),
    "--env",
    "GREETING=hello",
    "--dir",
    `${peregrine.directory}::/data`,
    "--",
    "-e",
    script,
  );
  expect({ status, stdout }).toEqual({ status: 0, stdout: "hello\t1\n" });
  expect(existsSync(join(peregrine.directory, "made"))).toBe(true);
});

test.each([
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const)("%s ends the agent in order", async (signal, status) => {
  const process = peregrine.start("run", ...ENDLESS);
  await process.printed("stdout", /sweep 1\n/u);
  const client = await peregrine.connect("t");
  const events: string[] = [];
  client.events.subscribe(({ event, data }) => events.push(`${event} ${JSON.stringify(data)}`));
  process.signal(signal);
  expect(await process.finished()).toMatchObject({ status, stderr: "" });
  await client.closed;
  expect(events).toEqual(['SHUTDOWN {"guest":false,"reason":"host-signal"}']);
  expect(readdirSync(peregrine.directory)).toEqual([]);
});

test("more monitors listen where they are told to", async () => {
  const process = peregrine.start("run", "--qmp", "tcp:127.0.0.1:0", ...peregrine.tokenFlag(), ...ENDLESS);
  const [, address] = await process.printed(
    "stderr",
    /^peregrine: The monitor listens on (tcp:127\.0\.0\.1:\d+)\n/u,
  );
  const client = await QmpClient.connect(address!, { token: TOKEN });
  expect(await client.execute("query-status")).toMatchObject({ status: expect.any(String) });
  await client.close();
});

test("of two that take a name at once, one runs", async () => {
  const both = [peregrine.start("run", ...ENDLESS), peregrine.start("run", ...ENDLESS)];
  const ended = await Promise.race(both.map((process) => process.finished()));
  expect(ended).toMatchObject({ status: 1, stdout: "" });
  expect(ended.stderr).toMatch(/^peregrine: NAME_IN_USE: [^\n]+'t'[^\n]+\n$/u);
  // It has the name before it has a monitor, which the list asks.
  await Promise.any(both.map((process) => process.printed("stdout", /sweep 1\n/u)));
  expect((await peregrine.run("list")).stdout.split("\n")).toHaveLength(3);
});

test("a killed agent leaves its name free", async () => {
  const process = peregrine.start("run", ...ENDLESS);
  await process.printed("stdout", /sweep 1\n/u);
  await process.kill();
  expect(existsSync(join(peregrine.directory, "t.sock"))).toBe(true);
  expect((await peregrine.run("info", "t")).stderr).toMatch(/^peregrine: NO_SUCH_GUEST: /u);
  await peregrine.start("run", ...ENDLESS).printed("stdout", /sweep 1\n/u);
});
