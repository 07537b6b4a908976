import { PLAIN, SILENT } from "./log.ts";
import type { Log, LogOutput } from "./log.ts";
import type { LogOptions } from "./log-options.ts";

let output: LogOutput = PLAIN;

/** Where messages and the log of this process go. */
export function present(): LogOutput {
  return output;
}

/** Whether anything that goes to {@link LOG} is kept. */
export function isLogging(): boolean {
  return output.log !== SILENT;
}

/** The log of this process. It can be kept: it goes where the process's log goes at that moment. */
export const LOG: Log = {
  error: (text, fields) => output.log.error(text, fields),
  warn: (text, fields) => output.log.warn(text, fields),
  info: (text, fields) => output.log.info(text, fields),
  debug: (text, fields) => output.log.debug(text, fields),
};

/** What Node writes of itself in lines of its own: JSON lines have to stay JSON. */
let warningsTaken = false;

/**
 * From now on messages and the log of this process go where the options say. Nothing is loaded for text of which nothing
 * but messages is wanted.
 */
export async function setOutput({ format, level }: LogOptions): Promise<void> {
  const isText = format === "text" || (format === "auto" && process.stderr.isTTY);
  if (isText && (level === undefined || level === "error" || level === "warn")) return;
  const { jsonOutput, textOutput } = await import("./open-log.ts");
  output = isText ? textOutput(level ?? "warn", process.stderr) : jsonOutput(level ?? "info", process.stderr);
  if (!isText) takeWarnings();
}

function takeWarnings(): void {
  if (warningsTaken) return;
  warningsTaken = true;
  process.removeAllListeners("warning");
  process.on("warning", (warning: Error & { code?: string }) =>
    LOG.warn(warning.message, { code: warning.code ?? warning.name }),
  );
}
