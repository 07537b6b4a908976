import fs from "node:fs";
import { descriptorOf } from "./descriptors/descriptor-of.ts";

/** Room for the last words of a peer; nobody needs the rest of a stream that is broken. */
const MAX_BYTES = 64 * 1024;

/**
 * What the kernel holds of a connection that is about to be closed because nothing can be written to it any more: the
 * peer may have said something before it went. Empty where nobody can tell, as with TLS. Never throws.
 */
export function readUnread(socket: object): Uint8Array {
  const descriptor = descriptorOf(socket);
  if (descriptor === undefined) return new Uint8Array();
  const bytes = Buffer.allocUnsafe(MAX_BYTES);
  let length = 0;
  try {
    while (length < MAX_BYTES) {
      const count = fs.readSync(descriptor, bytes, length, MAX_BYTES - length, null);
      if (count === 0) break;
      length += count;
    }
  } catch {
    // EAGAIN: there is no more. Or it is broken for reading too.
  }
  return bytes.subarray(0, length);
}
