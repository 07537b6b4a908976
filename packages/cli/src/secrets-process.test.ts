import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { QmpClient } from "@peregrine/monitor";
import { expect, test } from "vitest";
import { guest, TOKEN, usePeregrine } from "./testing/peregrine-process.ts";
import { scrape } from "./testing/scrape.ts";

const peregrine = usePeregrine();
/** Runs for ever. */
const ENDLESS = [guest("torture"), "--name", "t", "--", "--mib", "1", "--rate", "4", "--sweeps", "0"];

/** What every user of the host can read of a process, and what its own user can. */
function shown(pid: number): { everybody: string; owner: string } {
  const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, "latin1");
  return { everybody: read("cmdline") + read("comm") + read("status"), owner: read("environ") };
}

test("a token is in no output and nowhere that others can look", async () => {
  const flags = ["--qmp", "tcp:127.0.0.1:0", ...peregrine.tokenFlag()];
  const agent = peregrine.start("run", ...flags, ...ENDLESS);
  const [, address] = await agent.printed("stderr", /The monitor listens on (tcp:\S+)\n/u);
  await expect(QmpClient.connect(address!, { token: `${TOKEN}x` })).rejects.toThrow("The token is wrong");
  const client = await QmpClient.connect(address!, { token: TOKEN });
  const answers = [
    await client.execute("x-peregrine-info"),
    await client.execute("query-commands"),
    await client.execute("human-monitor-command", { "command-line": "help" }),
  ];
  const refused = await client.execute("qmp_capabilities", { token: TOKEN }).catch((error: unknown) => error);
  const process = shown(agent.pid);
  const commands = [
    await peregrine.run("info", "t"),
    await peregrine.run("info", "t", "--json"),
    await peregrine.run("list", "--json"),
    await peregrine.run("run", "--qmp", "tcp:nowhere", ...flags.slice(2), ...ENDLESS),
    await peregrine.run("monitor", address!, ...peregrine.tokenFlag()),
  ];
  await client.execute("quit");
  const ended = await agent.finished();
  const everything = JSON.stringify([answers, String(refused), process, commands, ended]);
  expect(everything).toContain("torture");
  expect(everything).not.toContain(TOKEN);
  const left = readdirSync(peregrine.directory).filter((name) => name !== "token");
  for (const name of left)
    expect(readFileSync(join(peregrine.directory, name), "latin1")).not.toContain(TOKEN);
});

test("neither token is in the log or in the figures, and one does not open what the other does", async () => {
  const metricsToken = "metrics-horse-battery-staple";
  const file = join(peregrine.directory, "metrics-token");
  writeFileSync(file, metricsToken, { mode: 0o600 });
  const flags = ["--qmp", "tcp:127.0.0.1:0", ...peregrine.tokenFlag(), "--metrics-token-file", file];
  const log = ["--log-format", "json", "--log-level", "debug"];
  const agent = peregrine.start("run", "--metrics", "127.0.0.1:0", ...flags, ...log, ...ENDLESS);
  const [, address] = await agent.printed("stderr", /The monitor listens on (tcp:[^"]+)"/u);
  const [, where] = await agent.printed("stderr", /Metrics are served at (http:[^"]+)"/u);
  const answers = [await scrape(where!), await scrape(where!, TOKEN), await scrape(where!, metricsToken)];
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 200]);
  await expect(QmpClient.connect(address!, { token: metricsToken })).rejects.toThrow("The token is wrong");
  const client = await QmpClient.connect(address!, { token: TOKEN });
  const info = await client.execute("x-peregrine-info");
  const process = shown(agent.pid);
  await client.execute("quit");
  const ended = await agent.finished();
  expect(ended.stderr).toContain('"msg":"the agent ends"');
  const everything = JSON.stringify([answers.map(({ text }) => text), info, process, ended]);
  expect(everything).toContain("peregrine_guest_state");
  for (const token of [TOKEN, metricsToken]) expect(everything).not.toContain(token);
});

test("a token of the environment stays there, and is not passed on", async () => {
  const bin = new URL("./bin/peregrine.mjs", import.meta.url).pathname;
  const dump = join(peregrine.directory, "environment");
  const args = ["run", "--paused", "--qmp", "tcp:127.0.0.1:0", "--allow-exec", ...ENDLESS];
  const env = {
    ...process.env,
    PEREGRINE_RUNTIME_DIR: peregrine.directory,
    PEREGRINE_MONITOR_TOKEN: TOKEN,
    TOKEN_IS_NOT_HERE: "1",
  };
  const agent = spawn(process.execPath, [bin, ...args], { env, stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(agent, "exit");
  try {
    let said = "";
    for await (const text of agent.stderr.setEncoding("utf8")) {
      said += text as string;
      if (said.includes("The monitor listens on")) break;
    }
    const { everybody, owner } = shown(agent.pid!);
    expect(everybody).not.toContain(TOKEN);
    expect(owner).toContain(`PEREGRINE_MONITOR_TOKEN=${TOKEN}`);
    const uri = `exec:env > ${dump}; cat > /dev/null`;
    const moved = await peregrine.run("migrate", "t", uri, "--allow-exec");
    expect(moved).toMatchObject({ status: 0 });
    expect(readFileSync(dump, "utf8")).toContain("TOKEN_IS_NOT_HERE=1");
    expect(readFileSync(dump, "utf8")).not.toContain(TOKEN);
    expect(said).not.toContain(TOKEN);
  } finally {
    agent.kill("SIGKILL");
    await ended;
  }
});

test("sockets are for their user alone", async () => {
  const own = join(peregrine.directory, "own.qmp");
  const people = join(peregrine.directory, "people");
  const agent = peregrine.start("run", "--qmp", `unix:${own}`, "--monitor", `unix:${people}`, ...ENDLESS);
  await agent.printed("stderr", /The monitor for people listens on /u);
  for (const path of [join(peregrine.directory, "t.sock"), own, people]) {
    expect(statSync(path).mode & 0o777).toBe(0o600);
  }
  await agent.printed("stdout", /sweep 1\n/u);
  await peregrine.run("quit", "t");
  await agent.finished();
  expect(readdirSync(peregrine.directory)).toEqual([]);
});

test("exec: is for agents that were started with --allow-exec", async () => {
  const agent = peregrine.start("run", ...ENDLESS);
  await agent.printed("stdout", /sweep 1\n/u);
  const file = join(peregrine.directory, "ran");
  expect((await peregrine.run("migrate", "t", `exec:touch ${file}`)).stderr).toMatch(
    /^peregrine: EXEC_NOT_ALLOWED: [^\n]*--allow-exec[^\n]*\n$/u,
  );
  expect((await peregrine.run("migrate", "t", `exec:touch ${file}`, "--allow-exec")).stderr).toMatch(
    /^peregrine: \w+: This agent runs no commands: start it with --allow-exec to use exec:\n$/u,
  );
  expect((await peregrine.run("receive", `exec:touch ${file}`)).stderr).toMatch(
    /^peregrine: EXEC_NOT_ALLOWED: /u,
  );
  expect(readdirSync(peregrine.directory)).not.toContain("ran");
  expect(await peregrine.report("t")).toMatchObject({ status: "running" });
});
