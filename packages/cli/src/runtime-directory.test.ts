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

test.each([0o770, 0o755, 0o710, 0o701])("one that is open to others is refused: mode %o", async (mode) => {
  using parent = new TemporaryDirectory();
  const path = join(parent.path, "open");
  mkdirSync(path);
  chmodSync(path, mode);
  await expect(openRuntimeDirectory(path, USER)).rejects.toMatchObject({
    code: "BAD_PARAMETER",
    message: expect.stringContaining(
      `is open to other users; run chmod 700 ${path}, or set PEREGRINE_RUNTIME_DIR`,
    ),
  });
});

test("one whose place others can take is refused", async () => {
  using parent = new TemporaryDirectory();
  const path = join(parent.path, "common", "own");
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(join(parent.path, "common"), 0o777);
  await expect(openRuntimeDirectory(path, USER)).rejects.toMatchObject({
    code: "BAD_PARAMETER",
    message: expect.stringContaining(`lies in ${join(parent.path, "common")}, which any user can write to`),
  });
  chmodSync(join(parent.path, "common"), 0o1777);
  expect(await openRuntimeDirectory(path, USER)).toBe(path);
});

test("the way to it may be a link", async () => {
  using parent = new TemporaryDirectory();
  const path = join(parent.path, "link", "own");
  mkdirSync(join(parent.path, "place"));
  symlinkSync("place", join(parent.path, "link"));
  expect(await openRuntimeDirectory(path, USER)).toBe(path);
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
