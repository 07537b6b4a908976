import { MigrationError } from "@peregrine/protocol";
import type { Line } from "./lines.ts";

/** One JSON object as a line. */
export function encodeLine(value: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\r\n`);
}

/** What is in a line. Errors: BAD_COMMAND; LIMIT_EXCEEDED for one that is too long. */
export function parseLine(line: Line): unknown {
  if (line.kind === "line") return parseJson(line.text);
  const { code, message } = line.error;
  throw new MigrationError(code, `JSON parse error, ${message}`, { cause: line.error });
}

function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    // What is nested too deeply to be written again cannot be echoed.
    JSON.stringify(value);
    return value;
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : "too deeply nested";
    throw new MigrationError("BAD_COMMAND", `JSON parse error, ${reason}`, { cause: error });
  }
}
