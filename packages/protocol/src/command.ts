import { MigrationError } from "./errors.ts";
import type { Command } from "./messages.ts";
import { COMMAND_CODE } from "./wire.ts";

/**
 * Gives a command its shape. Codes without one keep a copy of their payload.
 * Errors: BAD_STREAM_COMMAND when the payload has the wrong length for the code.
 */
export function decodeCommand(code: number, payload: Uint8Array): Command {
  switch (code) {
    case COMMAND_CODE.openReturnPath:
      requireLength("OPEN_RETURN_PATH", payload, 0);
      return { kind: "open-return-path" };
    case COMMAND_CODE.ping:
      requireLength("PING", payload, 4);
      return { kind: "ping", value: new DataView(payload.buffer, payload.byteOffset).getUint32(0) };
    default:
      return { kind: "other", code, payload: payload.slice() };
  }
}

function requireLength(name: string, payload: Uint8Array, expected: number): void {
  if (payload.length === expected) return;
  throw new MigrationError(
    "BAD_STREAM_COMMAND",
    `Command ${name} has a payload of ${payload.length} bytes instead of ${expected}`,
  );
}
