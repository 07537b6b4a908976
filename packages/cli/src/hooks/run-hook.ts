import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";

/** From SIGTERM to SIGKILL, for a command that takes too long. Milliseconds. */
const GRACE_MS = 2000;

export interface HookRun {
  /** For `/bin/sh -c`. */
  readonly command: string;
  /** What the command gets beside the environment of this process. */
  readonly environment: Readonly<Record<string, string>>;
  /** Milliseconds that it may take. */
  readonly limit: number;
}

/**
 * Runs a command of the operator to its end. It has no input, and its output goes where this process reports to: the
 * standard output is the guest's. When the time is over, it is ended with everything that it started and that has
 * stayed in its process group.
 * @returns what went wrong; undefined when it ended with status 0.
 */
export function runHook({ command, environment, limit }: HookRun): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn("/bin/sh", ["-c", command], {
      // A process group of its own: it is ended as a whole, and a key that is pressed for the agent does not reach it.
      detached: true,
      stdio: ["ignore", 2, 2],
      env: { ...process.env, ...environment },
    });
    let overdue = false;
    let kill: NodeJS.Timeout | undefined;
    const end = setTimeout(() => {
      overdue = true;
      signalGroup(child, "SIGTERM");
      kill = setTimeout(() => signalGroup(child, "SIGKILL"), GRACE_MS);
    }, limit);
    const finish = (failure: string | undefined): void => {
      clearTimeout(end);
      clearTimeout(kill);
      // What it has left running when it was ended for being late.
      if (overdue) signalGroup(child, "SIGKILL");
      resolve(overdue ? `took longer than ${limit / 1000} s and was ended` : failure);
    };
    child.once("error", (error) => finish(`cannot be started: ${error.message}`));
    child.once("exit", (status, signal) => finish(failureOf(status, signal)));
  });
}

function failureOf(status: number | null, signal: NodeJS.Signals | null): string | undefined {
  if (signal !== null) return `was ended by ${signal} (${constants.signals[signal]})`;
  return status === 0 ? undefined : `ended with status ${status}`;
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody of it is left.
  }
}
