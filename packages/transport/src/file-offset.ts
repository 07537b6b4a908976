import { MigrationError } from "@peregrine/protocol";

/** Letters that multiply by powers of 1024; `B` is a byte. */
const SUFFIXES = "BKMGTPE";

const DECIMAL = /^\s*\+?(?<number>\d+\.?\d*|\.\d+)(?<suffix>[BKMGTPE]?)$/iu;
const HEXADECIMAL = /^\s*\+?0x[0-9A-F]+$/iu;
const NEGATIVE = /^\s*-\d/u;

/**
 * A place in a file, as QEMU reads one: decimal with a suffix such as `K` or `G`, which may have a fraction, or
 * hexadecimal without. Errors: BAD_ADDRESS in QEMU's words, also for one that is no whole number of bytes.
 */
export function parseFileOffset(text: string): number {
  if (NEGATIVE.test(text)) throw badOffset(text, "Numerical result out of range");
  const offset = HEXADECIMAL.test(text) ? Number(text.trim().replace("+", "")) : decimal(text);
  if (offset > Number.MAX_SAFE_INTEGER) throw badOffset(text, "Numerical result out of range");
  return offset;
}

function decimal(text: string): number {
  const groups = DECIMAL.exec(text)?.groups;
  const number = groups?.["number"];
  if (number === undefined) throw badOffset(text, "Invalid argument");
  const power = Math.max(SUFFIXES.indexOf((groups?.["suffix"] ?? "").toUpperCase()), 0);
  const offset = Number(number) * 1024 ** power;
  if (power === 0 && !Number.isInteger(offset)) throw badOffset(text, "Invalid argument");
  return Math.floor(offset);
}

function badOffset(text: string, reason: string): MigrationError {
  return new MigrationError("BAD_ADDRESS", `file URI has bad offset ${text}: ${reason}`);
}
