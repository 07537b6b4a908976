import { MigrationError } from "./errors.ts";

const encoder = new TextEncoder();
const lenient = new TextDecoder("utf-8");
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** As much of the text as fits into `bytes`, in whole characters. */
export function cutUtf8(text: string, bytes: number): Uint8Array {
  const cut = new Uint8Array(bytes);
  return cut.subarray(0, encoder.encodeInto(text, cut).written);
}

/** What of the bytes is text; the rest shows as replacement characters. */
export function readableUtf8(bytes: Uint8Array): string {
  return lenient.decode(bytes);
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
