// Starts the TypeScript sources, or what was built of them, with the Node that the workspace brings along if this one is too
// old. This file has to run on Node 20.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The first release that runs TypeScript, also in worker threads. */
const NEEDED_MAJOR = 24;

/** A terminal sends SIGINT and SIGQUIT to the child as well; the agent takes two that come at once for one. */
const PASSED_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/**
 * What Node is started with. Left alone, V8 lets each thread's young objects grow to tens of megabytes, and malloc keeps
 * what was freed in one pool for each thread. An agent has several threads, and needs little in each. So few young objects
 * are gone through in less time than it takes other threads to come and help. What is hot in an agent is WebAssembly. What
 * is not is compiled by the best compiler when it has run for long, and by none of those between: that takes processors from a
 * migration, which is over before the code has paid for it. Of the pool's threads, one sleeps for the monitor's sockets, and
 * four are left as usual. A thread's old objects may take a little more than at first by themselves: otherwise each thread looks
 * through all of them at the moment when a migration begins. Functions are compiled when a module is loaded, and not when they
 * are first called: most of a migration's code runs for the first time in it, some of it while the guest stands still.
 */
export const NODE_OPTIONS = [
  "--max-semi-space-size=1",
  "--no-parallel-scavenge",
  "--no-sparkplug",
  "--no-maglev",
  "--invocation-count-for-turbofan=30000",
  "--no-lazy",
  "--initial-old-space-size=32",
];
export const NODE_ENVIRONMENT = { MALLOC_ARENA_MAX: "1", UV_THREADPOOL_SIZE: "5" };

/** Where a Node that is new enough is: this one, or that of the nearest directory above `from` that has one. */
export function findNode(from, current = { version: process.versions.node, path: process.execPath }) {
  if (Number.parseInt(current.version, 10) >= NEEDED_MAJOR) return current.path;
  for (let directory = from; ; directory = dirname(directory)) {
    const candidate = join(directory, "node_modules", ".bin", "node");
    if (existsSync(candidate)) return candidate;
    if (dirname(directory) === directory) return undefined;
  }
}

/** Runs `src/bin/NAME.mjs` in the place of this process: its streams, arguments, signals and exit status. */
export function launch(name) {
  const packageDirectory = dirname(dirname(fileURLToPath(import.meta.url)));
  const node = findNode(packageDirectory);
  // A workspace has the sources, and what was built of them at some time; a package that was installed has only that.
  const source = join(packageDirectory, "src", "bin", `${name}.mjs`);
  const inWorkspace = existsSync(source);
  if (node === undefined) {
    const remedy = inWorkspace
      ? `run "npx -y pnpm@12 install" in ${packageDirectory}, which brings it along`
      : "install it from https://nodejs.org/en/download, and see that it comes first in PATH";
    process.stderr.write(
      `${name}: Node ${NEEDED_MAJOR} or later is needed, and ${process.execPath} is ${process.versions.node}; ${remedy}\n`,
    );
    process.exit(1);
  }
  const script = inWorkspace ? source : join(packageDirectory, "dist", `${name}.js`);
  const args = [...NODE_OPTIONS, script, ...process.argv.slice(2)];
  const env = { ...NODE_ENVIRONMENT, ...process.env };
  // Then it is this process, with all of its signals, and nobody waits for it in tens of megabytes.
  if (process.platform === "linux" && process.execve !== undefined)
    process.execve(node, [node, ...args], env);
  const child = spawn(node, args, { stdio: "inherit", env });
  for (const signal of PASSED_SIGNALS) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    process.stderr.write(`${name}: ${node} cannot be started: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (status, signal) => {
    process.exit(status ?? 128 + constants.signals[signal]);
  });
}
