// The command line as `npm install -g` has put it in a folder, without the workspace and without the other packages.
import { manual } from "@peregrine/cli/manual";
import { usePeregrine } from "@peregrine/cli/testing";
import type { TestProcess } from "@peregrine/cli/testing";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { globalPrefix } from "./installed.ts";
import { packed } from "./pack.ts";
import { examplesOf } from "./readme.ts";
import { output, run } from "./run.ts";
import { WORKSPACE } from "./workspace.ts";

const INSTALLED = join(globalPrefix(), "lib/node_modules");
const COMMANDS = ["dest-agent", "peregrine", "source-agent"] as const;
const SOURCE = packed().find(({ source }) => source.hasCommands)!.source;

/** Where Debian's Node is, which is too old. */
const SYSTEM_NODE = "/usr/bin/node";
const OLD_NODE = existsSync(SYSTEM_NODE)
  ? execFileSync(SYSTEM_NODE, ["--version"], { encoding: "utf8" }).trim().slice(1)
  : "none";

const commandFile = (name: string): string => join(globalPrefix(), "bin", name);
const guest = (name: string): string => join(WORKSPACE, "examples/guests", `${name}.wasm`);

/** A folder that is of no working tree. */
const ELSEWHERE = globalPrefix();

const peregrine = usePeregrine([process.execPath, commandFile("peregrine")]);

test("installing one tarball gives the commands", () => {
  expect(readdirSync(join(globalPrefix(), "bin"))).toEqual(COMMANDS);
  expect(readdirSync(join(INSTALLED, "@peregrine"))).toEqual(["cli"]);
});

test("installing it gives the pages of the manual", () => {
  const pages = join(globalPrefix(), "share/man");
  const found = readdirSync(pages).flatMap((section) => readdirSync(join(pages, section)));
  const expected = manual().map(({ file }) => file);
  expect(found.toSorted()).toEqual(expected.toSorted());
  expect(readFileSync(join(pages, "man1/peregrine.1"), "utf8")).toMatch(/^\.TH /mu);
});

test("the version has the commit", async () => {
  const git = ["describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"];
  const commit = execFileSync("git", git, { cwd: WORKSPACE, encoding: "utf8" }).trim();
  const text = await output(process.execPath, [commandFile("peregrine"), "--version"], ELSEWHERE);
  expect(text).toBe(`peregrine ${SOURCE.version} (${commit})\n`);
});

test.each(["source-agent", "dest-agent"])("%s starts", async (name) => {
  const text = await output(process.execPath, [commandFile(name), "--help"], ELSEWHERE);
  expect(text).toMatch(new RegExp(`^Usage: ${name} `, "u"));
});

test.skipIf(!/^(?:1\d|2[0-3])\./u.test(OLD_NODE)).each(COMMANDS)(
  "%s says what to do on an older Node",
  async (name) => {
    const { status, stdout, stderr } = await run(SYSTEM_NODE, [commandFile(name), "--version"], ELSEWHERE);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toBe(
      `${name}: Node 24 or later is needed, and ${SYSTEM_NODE} is ${OLD_NODE}; ` +
        "install it from https://nodejs.org/en/download, and see that it comes first in PATH\n",
    );
  },
);

test("the host is found to be all right, with the native library", async () => {
  const { stdout, status } = await peregrine.run("doctor");
  expect(stdout).toContain("koffi is there");
  expect(status).toBe(0);
});

test("a guest moves between two processes, and nothing of its output is lost", async () => {
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  const source = peregrine.start("run", guest("console"), "--name", "a");
  source.write("12\n");
  await source.printed("stdout", /\[2\] sum=12> $/u);
  const moved = await peregrine.run("migrate", "a", address);
  expect(moved).toMatchObject({ status: 0, stderr: "" });
  expect((await source.finished()).status).toBe(0);
  destination.write("30\nquit 7\n");
  const { status, stdout } = await destination.finished();
  expect(source.stdout + stdout).toBe(
    "[1] sum=0> added 12, sum is 12\n[2] sum=12> added 30, sum is 42\n[3] sum=42> bye after 2 entries, sum 42\n",
  );
  expect(status).toBe(7);
});

/** Every connection has a thread at both ends, whose modules have to be there. */
test("a guest that writes moves by several connections", async () => {
  const args = ["--mib", "8", "--rate", "64", "--sweeps", "0"];
  const source = peregrine.start("run", guest("torture"), "--name", "a", "--", ...args);
  await source.printed("stdout", /\n/u);
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b", "--parallel", "2");
  const moved = await peregrine.run("migrate", "a", address, "--parallel", "2");
  expect(moved).toMatchObject({ status: 0, stderr: "" });
  expect((await source.finished()).status).toBe(0);
  // After each sweep it looks whether its memory is what it was, and ends if not.
  await destination.printed("stdout", /\n.*\n.*\n/u);
  expect(await peregrine.run("quit", "b")).toMatchObject({ status: 0 });
  expect((await destination.finished()).status).toBe(0);
});

test("the page is in it", async () => {
  const dashboard = peregrine.start("dashboard", "127.0.0.1:0");
  const [, url] = await dashboard.printed("stderr", /The dashboard is at (\S+)#token=/u);
  const page = await (await fetch(url!)).text();
  const [, script] = /<script[^>]* src="([^"]+)"/u.exec(page)!;
  const answer = await fetch(new URL(script!, url));
  expect(answer.status).toBe(200);
  expect((await answer.text()).length).toBeGreaterThan(10_000);
  dashboard.signal("SIGTERM");
  await dashboard.finished();
});

test("the commands of the README move a program, which goes on", async () => {
  const [first, second, third] = examplesOf(SOURCE.directory)
    .find(({ kind }) => kind === "commands")!
    .text.trim()
    .split("\n")
    .map((line) => line.replace(/#.*/u, "").trim().split(/ +/u));
  const data = join(peregrine.directory, "data");
  mkdirSync(data);
  const start = (line: readonly string[] | undefined, uri: string): TestProcess => {
    expect(line?.[0]).toBe("peregrine");
    const args = line!.slice(1).map((word) =>
      word
        .replace(/^counter\.wasm$/u, guest("counter"))
        .replace("./data:", `${data}:`)
        .replace("tcp:127.0.0.1:4444", uri),
    );
    return peregrine.start(...args);
  };
  const units = (): number => Number(readFileSync(join(data, "progress"), "utf8"));
  start(first, "");
  await vi.waitUntil(() => existsSync(join(data, "progress")) && units() > 0, { timeout: 15_000 });
  const waiting = start(second, "tcp:127.0.0.1:0");
  const [, address] = await waiting.printed("stderr", /is awaited on (.+)\n/u);
  const { status, stdout } = await start(third, address!).finished();
  expect(stdout).toMatch(/^moved in /mu);
  expect(status).toBe(0);
  const before = units();
  await vi.waitUntil(() => units() > before, { timeout: 15_000 });
  expect(await peregrine.report("web-2")).toMatchObject({ status: "running", owner: "owner" });
});
