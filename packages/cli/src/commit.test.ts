import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkedOutCommit, parseCommit } from "./commit.ts";
import { TemporaryDirectory } from "./testing/temporary-directory.ts";

/** A working tree with one commit and a folder `inside/`. */
function workingTree(path: string): (...args: readonly string[]) => string {
  const author = ["-c", "user.name=A", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false"];
  const git = (...args: readonly string[]): string =>
    execFileSync("git", [...author, ...args], { cwd: path, encoding: "utf8" }).trim();
  mkdirSync(join(path, "inside"));
  writeFileSync(join(path, "inside", "file"), "1");
  git("init", "-q");
  git("add", ".");
  git("commit", "-qm", "First");
  return git;
}

test("the commit of a working tree, and whether it has changes", () => {
  using directory = new TemporaryDirectory();
  const git = workingTree(directory.path);
  const inside = join(directory.path, "inside");
  const commit = git("rev-parse", "--short=7", "HEAD");
  // A tag is no commit.
  git("tag", "-am", "1", "v1.0.0");
  expect(checkedOutCommit(inside, "inside/")).toBe(commit);
  writeFileSync(join(inside, "file"), "2");
  expect(checkedOutCommit(inside, "inside/")).toBe(`${commit}-dirty`);
});

test("none where the directory is another one of the tree, or of no tree", () => {
  using directory = new TemporaryDirectory();
  expect(checkedOutCommit(directory.path, "")).toBeUndefined();
  workingTree(directory.path);
  expect(checkedOutCommit(join(directory.path, "inside"), "packages/cli/")).toBeUndefined();
  expect(checkedOutCommit(join(directory.path, "missing"), "missing/")).toBeUndefined();
});

test("what is no commit is not shown as one", () => {
  expect(parseCommit("253059b")).toBe("253059b");
  expect(parseCommit("253059b-dirty")).toBe("253059b-dirty");
  for (const text of [undefined, "", "253059", "main", "253059b\n", "253059B", "253059b-tidy"]) {
    expect(parseCommit(text)).toBeUndefined();
  }
});
