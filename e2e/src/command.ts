import { execFile } from "node:child_process";

export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Beside the environment of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
  /** Milliseconds. */
  readonly timeout?: number;
}

const MOST_BYTES = 64 * 1024 * 1024;

/** Runs a command to its end, whatever its status. Errors: when it cannot be started, or takes too long. */
export function attempt(command: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { environment = {}, directory, timeout = 300_000 } = options;
  const [program, ...args] = command;
  return new Promise((resolve, reject) => {
    execFile(
      program!,
      args,
      {
        env: { ...process.env, ...environment },
        maxBuffer: MOST_BYTES,
        timeout,
        ...(directory === undefined ? {} : { cwd: directory }),
      },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : error.code;
        if (typeof status === "number") resolve({ status, stdout, stderr });
        else reject(new Error(`${command.join(" ")}: ${error?.message}\n${stderr}`, { cause: error }));
      },
    );
  });
}

/** The same for one that has to succeed. @returns what it printed. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await attempt(command, options);
  if (status !== 0)
    throw new Error(`${command.join(" ")} ended with status ${status}:\n${stdout}\n${stderr}`);
  return stdout;
}

/** Whether a command can be started and ends with status 0. */
export async function succeeds(command: readonly string[]): Promise<boolean> {
  return attempt(command, { timeout: 30_000 }).then(
    ({ status }) => status === 0,
    () => false,
  );
}
