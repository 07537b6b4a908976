import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
// @ts-expect-error -- it is JavaScript, because it has to run on a Node that knows no TypeScript
import { findNode as findUntyped } from "../bin/launch.mjs";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import { TemporaryDirectory } from "./testing/temporary-directory.ts";

type FindNode = (from: string, current: { version: string; path: string }) => string | undefined;
const findNode = findUntyped as FindNode;

const LAUNCHER = fileURLToPath(new URL("../bin/peregrine.mjs", import.meta.url));

/** Where Debian's Node is; without it the launcher is started by this one. */
const SYSTEM_NODE = "/usr/bin/node";
const peregrine = usePeregrine([existsSync(SYSTEM_NODE) ? SYSTEM_NODE : process.execPath, LAUNCHER]);

const current = usePeregrine([process.execPath, LAUNCHER]);

const OLD = { version: "20.20.2", path: "/usr/bin/node" };

test("a Node that is new enough is used as it is", () => {
  expect(findNode("/", { version: "24.0.0", path: "/opt/node" })).toBe("/opt/node");
  expect(findNode("/", { version: "26.1.0", path: "/opt/node" })).toBe("/opt/node");
});

test("with an older one, the nearest that a workspace brings along", () => {
  using workspace = new TemporaryDirectory();
  const inside = join(workspace.path, "packages", "cli");
  mkdirSync(inside, { recursive: true });
  expect(findNode(inside, OLD)).toBeUndefined();
  const bin = join(workspace.path, "node_modules", ".bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "node"), "");
  chmodSync(join(bin, "node"), 0o755);
  expect(findNode(inside, OLD)).toBe(join(bin, "node"));
});

test("arguments, input, output and exit status are passed on", async () => {
  const process = peregrine.start("run", guest("console"));
  process.write("1\nquit 9\n");
  const { status, stdout } = await process.finished();
  expect({ status, stdout }).toEqual({
    status: 9,
    stdout: "[1] sum=0> added 1, sum is 1\n[2] sum=1> bye after 1 entries, sum 1\n",
  });
});

test("a Node that is new enough becomes the agent: nothing waits for it", async () => {
  const launcher = current.start("run", guest("sleeper"), "--name", "s");
  await launcher.printed("stdout", /going to sleep/u);
  expect(await current.report("s")).toMatchObject({ pid: launcher.pid });
  launcher.signal("SIGTERM");
  expect(await launcher.finished()).toMatchObject({ status: 143, stderr: "" });
});

test("signals are passed on, and nothing is left running", async () => {
  const launcher = peregrine.start("run", guest("sleeper"), "--name", "s");
  await launcher.printed("stdout", /going to sleep/u);
  launcher.signal("SIGTERM");
  expect(await launcher.finished()).toMatchObject({ status: 143 });
  expect((await peregrine.run("info", "s")).stderr).toContain("NO_SUCH_GUEST");
});
