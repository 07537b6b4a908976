import { MigrationError } from "./errors.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

/** Bytes of the payload of `globalstate`: a be32 size and a buffer of fixed length. */
export const GLOBAL_STATE_BYTES = 104;
const TEXT_AT = 4;
const TEXT_BYTES = GLOBAL_STATE_BYTES - TEXT_AT;

/**
 * @param runState for example `running` or `paused`.
 * @returns the 104 bytes: be32 size of the text with its NUL, then the text, padded with NULs.
 */
export function encodeGlobalState(runState: string): Uint8Array {
  const text = encodeUtf8(runState);
  if (text.length >= TEXT_BYTES || text.includes(0)) {
    throw new MigrationError(
      "INTERNAL",
      `'${runState}' is no run state: at most ${TEXT_BYTES - 1} bytes, no NUL`,
    );
  }
  const payload = new Uint8Array(GLOBAL_STATE_BYTES);
  new DataView(payload.buffer).setUint32(0, text.length + 1);
  payload.set(text, TEXT_AT);
  return payload;
}

/** @returns the run state as sent. Errors: BAD_SECTION. */
export function decodeGlobalState(payload: Uint8Array): string {
  if (payload.length !== GLOBAL_STATE_BYTES) {
    throw bad(`the payload has ${payload.length} bytes instead of ${GLOBAL_STATE_BYTES}`);
  }
  const size = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
  if (size > TEXT_BYTES) throw bad(`the run state's size ${size} is more than ${TEXT_BYTES}`);
  const text = payload.subarray(TEXT_AT);
  const length = text.indexOf(0);
  if (length < 0) throw bad("the run state has no terminating NUL");
  return decodeUtf8(text.subarray(0, length), "the run state");
}

function bad(text: string): MigrationError {
  return new MigrationError("BAD_SECTION", text, { section: "globalstate" });
}
