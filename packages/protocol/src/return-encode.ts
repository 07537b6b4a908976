import { ByteWriter } from "./byte-writer.ts";
import { MigrationError } from "./errors.ts";
import type { ReturnMessage } from "./messages.ts";
import { fromHex } from "./hex.ts";
import { cutUtf8 } from "./utf8.ts";
import { RECV_BITMAP_END, RETURN_MESSAGE_TYPE } from "./wire.ts";

/** As much as a source of QEMU would take of any message. */
const MAX_REASON_BYTES = 512;

/** A message for the return path, with the bitmap that follows RECV_BITMAP. */
export function encodeReturnMessage(w: ByteWriter, message: ReturnMessage): void {
  const payload = new ByteWriter();
  w.be16(putPayload(payload, message));
  w.be16(payload.length);
  w.bytes(payload.view());
  if (message.kind === "recv-bitmap") putBitmap(w, message.bitmap);
}

/** @returns the message's type. */
function putPayload(w: ByteWriter, message: ReturnMessage): number {
  switch (message.kind) {
    case "shut":
      w.be32(message.status);
      return RETURN_MESSAGE_TYPE.shut;
    case "pong":
      w.be32(message.value);
      return RETURN_MESSAGE_TYPE.pong;
    case "request-pages":
      w.be64(message.start);
      w.be32(message.length);
      if (message.block === undefined) return RETURN_MESSAGE_TYPE.requestPages;
      w.counted(message.block);
      return RETURN_MESSAGE_TYPE.requestPagesOfBlock;
    case "recv-bitmap":
      w.counted(message.block);
      return RETURN_MESSAGE_TYPE.recvBitmap;
    case "resume-ack":
      w.be32(message.value);
      return RETURN_MESSAGE_TYPE.resumeAck;
    case "switchover-ack":
      return RETURN_MESSAGE_TYPE.switchoverAck;
    case "loaded":
      w.bytes(fromHex(message.migration));
      return RETURN_MESSAGE_TYPE.loaded;
    case "alive":
      return RETURN_MESSAGE_TYPE.alive;
    default:
      w.bytes(cutUtf8(message.text, MAX_REASON_BYTES));
      return RETURN_MESSAGE_TYPE.reason;
  }
}

function putBitmap(w: ByteWriter, bitmap: Uint8Array): void {
  if (bitmap.length % 8 !== 0) {
    throw new MigrationError("INTERNAL", `a bitmap of ${bitmap.length} bytes is not padded to 8`);
  }
  w.be64(bitmap.length);
  w.bytes(bitmap);
  w.be32(RECV_BITMAP_END.high);
  w.be32(RECV_BITMAP_END.low);
}
