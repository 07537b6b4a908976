import { MigrationError } from "@peregrine/protocol";
import { basename } from "node:path";

/** Long enough for anything, short enough for the path of a socket, which has 107 bytes. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,47}$/u;

/** Letters of a name that was made from a file name, so that a number fits behind them. */
const STEM_LENGTH = 40;

/** Errors: BAD_PARAMETER. */
export function checkGuestName(name: string): string {
  if (NAME.test(name)) return name;
  throw new MigrationError(
    "BAD_PARAMETER",
    `'${name}' cannot be a guest's name: it has 1 to 48 letters, digits, '_', '.' or '-' and begins with none of the last two`,
  );
}

/** A name for a guest that runs `program`, a path. */
export function nameFromProgram(program: string): string {
  const stem = basename(program)
    .replace(/\.wasm$/u, "")
    .replaceAll(/[^A-Za-z0-9_.-]+/gu, "-")
    .replace(/^[.-]+/u, "")
    .slice(0, STEM_LENGTH);
  return stem === "" ? "guest" : stem;
}
