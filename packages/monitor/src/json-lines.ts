import { MigrationError } from "@peregrine/protocol";
import { MAX_MESSAGE_DEPTH } from "./limits.ts";
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
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : "it cannot be read";
    throw new MigrationError("BAD_COMMAND", `JSON parse error, ${reason}`, { cause: error });
  }
  if (isDeeperThan(value, MAX_MESSAGE_DEPTH)) {
    // What is nested too deeply to be written again cannot be echoed.
    throw new MigrationError("BAD_COMMAND", "JSON parse error, too deeply nested");
  }
  return value;
}

/** Goes no deeper itself. */
function isDeeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((member) => isDeeperThan(member, depth - 1));
}
