import { MigrationError } from "@peregrine/protocol";
import { open } from "node:fs/promises";

/** What a token opens, and where it is. It is never an argument: every user of the host can read those of a process. */
interface TokenKind {
  readonly name: string;
  readonly variable: string;
}

const MONITOR: TokenKind = { name: "The monitor's token", variable: "PEREGRINE_MONITOR_TOKEN" };
const METRICS: TokenKind = { name: "The token for metrics", variable: "PEREGRINE_METRICS_TOKEN" };

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
export function takeMonitorToken(
  file: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  return take(MONITOR, file, environment);
}

/** The same for who reads metrics: that one may know what goes on, and nothing else. */
export function takeMetricsToken(
  file: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  return take(METRICS, file, environment);
}

async function take(
  kind: TokenKind,
  file: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const given = environment[kind.variable];
  delete environment[kind.variable];
  if (file !== undefined) return checked(kind, (await contentsOf(kind, file)).replace(/\r?\n$/u, ""), file);
  return given === undefined || given === "" ? undefined : checked(kind, given, kind.variable);
}

async function contentsOf(kind: TokenKind, file: string): Promise<string> {
  try {
    await using handle = await open(file);
    const { mode } = await handle.stat();
    if ((mode & OTHERS) !== 0) {
      const why = `can be used by every user of this host; run chmod 600 ${file}, and make another token`;
      throw unusable(kind, file, why);
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
    const { code = "unknown error" } = cause as NodeJS.ErrnoException;
    throw unusable(kind, file, `cannot be read (${code})`, cause);
  }
}

function checked(kind: TokenKind, token: string, where: string): string {
  if (token.length >= LENGTH.least && token.length <= LENGTH.most && TOKEN.test(token)) return token;
  throw unusable(
    kind,
    where,
    `has to hold ${LENGTH.least} to ${LENGTH.most} letters, digits and signs without spaces, such as openssl rand -hex 32 makes`,
  );
}

function unusable(kind: TokenKind, where: string, why: string, cause?: unknown): MigrationError {
  return new MigrationError("TOKEN_NEEDED", `${kind.name} cannot be used: ${where} ${why}`, { cause });
}
