import { MigrationError } from "@peregrine/protocol";
import type { ErrorCode } from "@peregrine/protocol";
import { spawn } from "node:child_process";
import type { ChildProcess, StdioOptions } from "node:child_process";
import { once } from "node:events";
import { systemError } from "./errno.ts";

/** How a command ended. */
export interface CommandExit {
  /** Undefined when a signal ended it. */
  readonly status: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

/**
 * A command of the shell that runs beside this process. It leads a process group, so that what it starts ends with
 * it, and a terminal's signals do not reach it: whoever runs the migration decides. Its standard error is ours.
 */
export class Command {
  readonly text: string;
  /** Resolves when the shell has ended and nothing is left of it. */
  readonly exited: Promise<CommandExit>;
  readonly #child: ChildProcess;
  #exit: CommandExit | undefined;

  private constructor(text: string, child: ChildProcess) {
    this.text = text;
    this.#child = child;
    this.exited = new Promise((resolve) => {
      child.once("exit", (status, signal) => {
        this.#exit = { status: status ?? undefined, signal: signal ?? undefined };
        resolve(this.#exit);
      });
    });
  }

  /** @param code of the error when the shell cannot be started. */
  static async start(text: string, stdio: StdioOptions, code: ErrorCode): Promise<Command> {
    try {
      const child = spawn("/bin/sh", ["-c", text], { detached: true, stdio });
      const command = new Command(text, child);
      await once(child, "spawn");
      return command;
    } catch (error) {
      throw systemError(code, `Failed to run the command '${text}'`, error);
    }
  }

  /** Its standard input, output and error as far as they are pipes. */
  get stdio(): ChildProcess["stdio"] {
    return this.#child.stdio;
  }

  /** How it ended, once it has. */
  get exit(): CommandExit | undefined {
    return this.#exit;
  }

  /** Ends it with everything that it started, unless it has ended. */
  kill(): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#exit !== undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  }
}

/** What is wrong with how a command ended. Undefined for status 0. */
export function badExit(text: string, { status, signal }: CommandExit): MigrationError | undefined {
  if (status === 0) return undefined;
  const how = signal === undefined ? `ended with exit status ${status}` : `was ended by ${signal}`;
  return new MigrationError("CHANNEL_FAILED", `The command '${text}' ${how}`);
}
