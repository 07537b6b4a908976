/** Seven digits or more, and whether the working tree had changes. */
const COMMIT = /^[0-9a-f]{7,40}(?:-dirty)?$/u;

/** Longest that git may take; a version is asked for by scripts as well. Milliseconds. */
const PATIENCE_MS = 5000;

/**
 * The commit that is checked out where `directory` is: `a376547`, or `a376547-dirty` with changes that were not committed.
 * Undefined when git does not say so, or when `directory` is not `path` of a working tree: a copy of the sources may lie in
 * somebody else's.
 * @param path from the top of the working tree, with a slash at its end.
 */
export function checkedOutCommit(directory: string, path: string): string | undefined {
  try {
    if (git(directory, "rev-parse", "--show-prefix") !== path) return undefined;
    return parseCommit(git(directory, "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"));
  } catch {
    return undefined;
  }
}

/** `text` if it is what a commit is shown as; undefined otherwise. */
export function parseCommit(text: string | undefined): string | undefined {
  return text !== undefined && COMMIT.test(text) ? text : undefined;
}

function git(directory: string, ...args: readonly string[]): string {
  // A hook's variables name the repository of whoever runs it.
  const { GIT_DIR: _, GIT_WORK_TREE: __, GIT_INDEX_FILE: ___, ...env } = process.env;
  // Not imported: each start of a command would load it.
  const { execFileSync } = process.getBuiltinModule("node:child_process");
  const options = { cwd: directory, env, encoding: "utf8", timeout: PATIENCE_MS } as const;
  return execFileSync("git", args, { ...options, stdio: ["ignore", "pipe", "ignore"] }).trim();
}
