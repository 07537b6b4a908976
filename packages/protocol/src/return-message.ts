import { ByteReader } from "./byte-reader.ts";
import { MigrationError } from "./errors.ts";
import type { ReturnMessage } from "./messages.ts";
import { toHex } from "./hex.ts";
import { readableUtf8 } from "./utf8.ts";
import { MIGRATION_ID_BYTES, RETURN_MESSAGE_TYPE } from "./wire.ts";

/** Names of the messages, and the lengths of their payloads where these are fixed. */
const FORMS = new Map<number, { readonly name: string; readonly length?: number }>([
  [RETURN_MESSAGE_TYPE.shut, { name: "SHUT", length: 4 }],
  [RETURN_MESSAGE_TYPE.pong, { name: "PONG", length: 4 }],
  [RETURN_MESSAGE_TYPE.requestPagesOfBlock, { name: "REQ_PAGES_ID" }],
  [RETURN_MESSAGE_TYPE.requestPages, { name: "REQ_PAGES", length: 12 }],
  [RETURN_MESSAGE_TYPE.recvBitmap, { name: "RECV_BITMAP" }],
  [RETURN_MESSAGE_TYPE.resumeAck, { name: "RESUME_ACK", length: 4 }],
  [RETURN_MESSAGE_TYPE.switchoverAck, { name: "SWITCHOVER_ACK", length: 0 }],
  [RETURN_MESSAGE_TYPE.loaded, { name: "LOADED", length: MIGRATION_ID_BYTES }],
  [RETURN_MESSAGE_TYPE.alive, { name: "ALIVE", length: 0 }],
  [RETURN_MESSAGE_TYPE.reason, { name: "REASON" }],
]);

/** Errors: BAD_RETURN_MESSAGE for a type that does not exist. */
export function requireReturnType(type: number): void {
  if (FORMS.has(type)) return;
  throw new MigrationError("BAD_RETURN_MESSAGE", `Unknown return path message type ${type}`);
}

/** Errors: BAD_RETURN_MESSAGE for a length that the type cannot have. */
export function requireReturnLength(type: number, length: number): void {
  const form = FORMS.get(type);
  if (form?.length === undefined || form.length === length) return;
  throw new MigrationError(
    "BAD_RETURN_MESSAGE",
    `Message ${form.name} has a payload of ${length} bytes instead of ${form.length}`,
  );
}

/**
 * @param type any but RECV_BITMAP; the payload has passed {@link requireReturnLength}.
 * @param offset of the payload in the return path, for errors.
 */
export function decodeReturnPayload(type: number, payload: Uint8Array, offset: number): ReturnMessage {
  const input = readerOf(payload, offset);
  switch (type) {
    case RETURN_MESSAGE_TYPE.shut:
      return { kind: "shut", status: input.be32() };
    case RETURN_MESSAGE_TYPE.pong:
      return { kind: "pong", value: input.be32() };
    case RETURN_MESSAGE_TYPE.requestPagesOfBlock: {
      if (input.available < 13) throw malformed("REQ_PAGES_ID");
      const range = { start: input.be64(), length: input.be32() };
      return { kind: "request-pages", block: lastName(input, "REQ_PAGES_ID"), ...range };
    }
    case RETURN_MESSAGE_TYPE.requestPages:
      return { kind: "request-pages", start: input.be64(), length: input.be32() };
    case RETURN_MESSAGE_TYPE.resumeAck:
      return { kind: "resume-ack", value: input.be32() };
    case RETURN_MESSAGE_TYPE.switchoverAck:
      return { kind: "switchover-ack" };
    case RETURN_MESSAGE_TYPE.loaded:
      return { kind: "loaded", migration: toHex(payload) };
    case RETURN_MESSAGE_TYPE.alive:
      return { kind: "alive" };
    case RETURN_MESSAGE_TYPE.reason:
      return { kind: "reason", text: readableUtf8(payload) };
    default:
      throw new MigrationError("INTERNAL", `return path message ${type} has no payload to decode`);
  }
}

/** The payload of RECV_BITMAP. The bitmap itself comes behind it. */
export function decodeBitmapBlock(payload: Uint8Array, offset: number): string {
  return lastName(readerOf(payload, offset), "RECV_BITMAP");
}

function lastName(input: ByteReader, message: string): string {
  if (!input.hasCounted()) throw malformed(message);
  const name = input.counted("the name of a RAM block");
  if (input.available > 0) throw malformed(message);
  return name;
}

function malformed(message: string): MigrationError {
  return new MigrationError("BAD_RETURN_MESSAGE", `Message ${message} does not end with a block name`);
}

function readerOf(payload: Uint8Array, offset: number): ByteReader {
  const input = new ByteReader(offset);
  input.push(payload);
  return input;
}
