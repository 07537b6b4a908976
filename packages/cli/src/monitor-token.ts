import { MigrationError } from "@peregrine/protocol";
import { open } from "node:fs/promises";

/** The token itself is never an argument: every user of the host can read the arguments of a process. */
const VARIABLE = "PEREGRINE_MONITOR_TOKEN";

/** Characters: what nobody guesses, and what fits into a header of HTTP. */
const LENGTH = { least: 16, most: 1024 } as const;

/** Without spaces, so that it can be typed and put into a header. */
const TOKEN = /^[!-~]+$/u;

const OTHERS = 0o007;

/**
 * The token of a monitor: what is in `file`, else what the environment has; undefined if neither is given. It is taken
 * out of the environment, so that no command that is run from here has it.
 * Errors: TOKEN_NEEDED for one that cannot be used. No error text has any of it.
 */
export async function takeMonitorToken(
  file: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const given = environment[VARIABLE];
  delete environment[VARIABLE];
  if (file !== undefined) return checked((await contentsOf(file)).replace(/\r?\n$/u, ""), file);
  return given === undefined || given === "" ? undefined : checked(given, VARIABLE);
}

async function contentsOf(file: string): Promise<string> {
  try {
    await using handle = await open(file);
    const { mode } = await handle.stat();
    if ((mode & OTHERS) !== 0) {
      throw unusable(
        file,
        `can be used by every user of this host; run chmod 600 ${file}, and make another token`,
      );
    }
    const bytes = Buffer.alloc(LENGTH.most + 3);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length);
      length += bytesRead;
      if (bytesRead === 0 || length === bytes.length) return bytes.toString("latin1", 0, length);
    }
  } catch (cause) {
    if (MigrationError.is(cause)) throw cause;
    throw unusable(
      file,
      `cannot be read (${(cause as NodeJS.ErrnoException).code ?? "unknown error"})`,
      cause,
    );
  }
}

function checked(token: string, where: string): string {
  if (token.length >= LENGTH.least && token.length <= LENGTH.most && TOKEN.test(token)) return token;
  throw unusable(
    where,
    `has to hold ${LENGTH.least} to ${LENGTH.most} letters, digits and signs without spaces, such as openssl rand -hex 32 makes`,
  );
}

function unusable(where: string, why: string, cause?: unknown): MigrationError {
  return new MigrationError("TOKEN_NEEDED", `The monitor's token cannot be used: ${where} ${why}`, { cause });
}
