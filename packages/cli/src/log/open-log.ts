import { pino } from "pino";
import type { Logger } from "pino";
import { VERSION } from "../version.ts";
import { PLAIN } from "./log.ts";
import type { Log, LogFields, LogOutput } from "./log.ts";
import type { LogLevel } from "./log-options.ts";
import { textLine } from "./text-line.ts";

type Lines = Pick<NodeJS.WritableStream, "write">;

/** Members that no entry should have; should one ever come by, its value does not. */
const SECRETS = ["token", "password", "authorization", "secret", "*.token", "*.password", "*.authorization"];

/** One JSON object per line, of messages as well. */
export function jsonOutput(level: LogLevel, lines: Lines): LogOutput {
  const logger = pino(
    {
      level,
      base: { pid: process.pid, version: VERSION },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: SECRETS,
    },
    lines,
  );
  return {
    log: logOf(logger),
    say: (text) => logger.info(text),
    sayError: ({ code, message, stack }) => logger.error({ code, stack }, message),
  };
}

/** Messages as they always are, and entries of the log as lines between them. */
export function textOutput(level: LogLevel, lines: Lines): LogOutput {
  const logger = pino(
    {
      level,
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      redact: SECRETS,
    },
    { write: (line: string) => void lines.write(textLine(line)) },
  );
  return { ...PLAIN, log: logOf(logger) };
}

function logOf(logger: Logger): Log {
  const at =
    (level: LogLevel) =>
    (text: string, fields: LogFields = {}): void =>
      logger[level](fields, text);
  return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
}
