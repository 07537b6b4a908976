import { MigrationError } from "@peregrine/protocol";
import { Packr } from "msgpackr/pack";
import { Unpackr } from "msgpackr/unpack";
import { MAX_MESSAGE_DEPTH } from "../limits.ts";

// Plain MessagePack in both directions, without the library's own extensions.
const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, int64AsType: "number", structuredClone: false });

/** One value as MessagePack. */
export function encodeMessage(value: unknown): Uint8Array {
  return packr.pack(value);
}

/**
 * The one value in `bytes`, of the kinds that JSON has. The library allocates no more than the bytes can fill.
 * Errors: BAD_COMMAND.
 */
export function decodeMessage(bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = unpackr.unpack(bytes);
  } catch (error) {
    throw refusal(error instanceof Error ? error.message : "it cannot be read", error);
  }
  if (!isPlain(value, MAX_MESSAGE_DEPTH)) {
    throw refusal(
      "it is nested too deeply, or has more than maps, arrays, strings, numbers, booleans and nil",
    );
  }
  return value;
}

/** Whether JSON has such a value. */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value);
    case "object":
      return value === null || (depth > 0 && isPlainCollection(value, depth));
    default:
      return false;
  }
}

function isPlainCollection(value: object, depth: number): boolean {
  const plain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
  return plain && Object.values(value).every((member) => isPlain(member, depth - 1));
}

function refusal(reason: string, cause?: unknown): MigrationError {
  return new MigrationError("BAD_COMMAND", `MessagePack parse error, ${reason}`, { cause });
}
