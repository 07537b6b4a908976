import { spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { takeMonitorToken } from "./monitor-token.ts";
import { TemporaryDirectory } from "./testing/temporary-directory.ts";

const TOKEN = "0123456789abcdef";

function written(directory: TemporaryDirectory, content: string, mode = 0o600): string {
  const file = join(directory.path, "token");
  writeFileSync(file, content);
  chmodSync(file, mode);
  return file;
}

test.each(["", "\n", "\r\n"])("a token is read from a file, with %j behind it", async (end) => {
  using directory = new TemporaryDirectory();
  expect(await takeMonitorToken(written(directory, TOKEN + end), {})).toBe(TOKEN);
  expect(await takeMonitorToken(written(directory, "~".repeat(1024) + end), {})).toBe("~".repeat(1024));
});

test("a token is taken out of the environment, which a file goes before", async () => {
  using directory = new TemporaryDirectory();
  const environment = { PEREGRINE_MONITOR_TOKEN: TOKEN, HOME: "/" };
  expect(await takeMonitorToken(undefined, environment)).toBe(TOKEN);
  expect(environment).toEqual({ HOME: "/" });
  const other = { PEREGRINE_MONITOR_TOKEN: TOKEN };
  expect(await takeMonitorToken(written(directory, "f".repeat(16)), other)).toBe("f".repeat(16));
  expect(other).toEqual({});
});

test.each([{}, { PEREGRINE_MONITOR_TOKEN: "" }])("there is none in %j", async (environment) => {
  expect(await takeMonitorToken(undefined, { ...environment })).toBeUndefined();
});

test.each([
  ["is empty", ""],
  ["is short", "0123456789abcde\n"],
  ["is long", "x".repeat(1025)],
  ["is long and ends where reading ends", `${"x".repeat(1026)}\n`],
  ["has two lines", `${TOKEN}\n${TOKEN}\n`],
  ["has a space", `${TOKEN} ${TOKEN}`],
  ["begins with a space", ` ${TOKEN}`],
  ["is not ASCII", `${TOKEN}é`],
  ["has a zero byte", `${TOKEN}\0`],
])("a token that %s is refused, and not shown", async (_, content) => {
  using directory = new TemporaryDirectory();
  const file = written(directory, content);
  const ways = [() => takeMonitorToken(file, {})];
  // An empty variable is none.
  if (content !== "") ways.push(() => takeMonitorToken(undefined, { PEREGRINE_MONITOR_TOKEN: content }));
  for (const way of ways) {
    const error = (await way().catch((reason: unknown) => reason)) as Error;
    expect(error).toMatchObject({ code: "TOKEN_NEEDED", message: expect.stringContaining("16 to 1024") });
    expect(error.message).not.toContain("0123456789");
    expect(error.message).not.toContain("xxx");
  }
});

test.each([0o604, 0o602, 0o666])("a file that everybody can use is refused: mode %o", async (mode) => {
  using directory = new TemporaryDirectory();
  const file = written(directory, TOKEN, mode);
  await expect(takeMonitorToken(file, {})).rejects.toMatchObject({
    code: "TOKEN_NEEDED",
    message: expect.stringContaining(`run chmod 600 ${file}`),
  });
});

test("a file that cannot be read is named", async () => {
  using directory = new TemporaryDirectory();
  for (const [file, reason] of [
    [join(directory.path, "none"), "ENOENT"],
    [directory.path, "EISDIR"],
  ] as const) {
    await expect(takeMonitorToken(file, {})).rejects.toMatchObject({
      code: "TOKEN_NEEDED",
      message: `The monitor's token cannot be used: ${file} cannot be read (${reason})`,
    });
  }
});

test("a token may come out of a pipe", async () => {
  using directory = new TemporaryDirectory();
  const pipe = join(directory.path, "pipe");
  spawnSync("mkfifo", ["-m", "600", pipe]);
  const taken = takeMonitorToken(pipe, {});
  writeFileSync(pipe, `${TOKEN}\n`);
  expect(await taken).toBe(TOKEN);
});
