import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { getuid } from "node:process";
import { expect, test } from "vitest";
import { openRuntimeDirectory, runtimeDirectoryPath } from "./runtime-directory.ts";
import { TemporaryDirectory } from "./testing/temporary-directory.ts";

const USER = getuid!();
const refused = expect.objectContaining({ code: "BAD_PARAMETER" });

test("the directory is the user's own, the session's, or one of the user in /tmp", () => {
  const session = { XDG_RUNTIME_DIR: "/run/user/7" };
  expect(runtimeDirectoryPath({ ...session, PEREGRINE_RUNTIME_DIR: "/run/p" }, 7)).toBe("/run/p");
  expect(runtimeDirectoryPath({ ...session, PEREGRINE_RUNTIME_DIR: "" }, 7)).toBe("/run/user/7/peregrine");
  expect(runtimeDirectoryPath({ XDG_RUNTIME_DIR: "" }, 7)).toBe("/tmp/peregrine-7");
});

test("it is made for this user alone", async () => {
  using parent = new TemporaryDirectory();
  const path = join(parent.path, "a", "b");
  expect(await openRuntimeDirectory(path, USER)).toBe(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(await openRuntimeDirectory(path, USER)).toBe(path);
});

test("one that others can write to is refused", async () => {
  using parent = new TemporaryDirectory();
  const path = join(parent.path, "open");
  mkdirSync(path);
  chmodSync(path, 0o770);
  await expect(openRuntimeDirectory(path, USER)).rejects.toEqual(refused);
});

test("one that belongs to somebody else is refused", async () => {
  using parent = new TemporaryDirectory();
  await expect(openRuntimeDirectory(parent.path, USER + 1)).rejects.toEqual(refused);
});

test("a link and a file are refused", async () => {
  using parent = new TemporaryDirectory();
  const link = join(parent.path, "link");
  symlinkSync(parent.path, link);
  await expect(openRuntimeDirectory(link, USER)).rejects.toEqual(refused);
  const file = join(parent.path, "file");
  writeFileSync(file, "");
  await expect(openRuntimeDirectory(file, USER)).rejects.toEqual(refused);
});
