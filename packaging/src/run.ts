import { execFile } from "node:child_process";

/** How a process ended, and what it printed. */
export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Nothing that is started here takes as long. Milliseconds. */
const PATIENCE_MS = 300_000;

/** Runs a program to its end, with an empty input. Errors: it cannot be started, or a signal ended it. */
export function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { cwd, env, timeout: PATIENCE_MS }, (error, stdout, stderr) => {
      const status = error === null ? 0 : error.code;
      if (typeof status === "number") resolve({ status, stdout, stderr });
      else reject(error!);
    });
    child.stdin?.end();
  });
}

/** As {@link run}. @returns what it printed. Errors: also a status other than 0. */
export async function output(
  program: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const { status, stdout, stderr } = await run(program, args, cwd, env);
  if (status === 0) return stdout;
  throw new Error(`${program} ${args.join(" ")} in ${cwd} ended with ${status}:\n${stdout}${stderr}`);
}
