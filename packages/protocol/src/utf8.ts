import { MigrationError } from "./errors.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Errors: BAD_SECTION when the bytes are not valid UTF-8; `what` names them in the message. */
export function decodeUtf8(bytes: Uint8Array, what: string, offset?: number): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new MigrationError(
      "BAD_SECTION",
      `${what} is not valid UTF-8`,
      offset === undefined ? { cause } : { cause, offset },
    );
  }
}
