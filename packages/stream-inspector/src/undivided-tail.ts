import { cutDevices, MigrationError, parseVmDescription, truncated } from "@peregrine/protocol";
import type { SectionHeader } from "@peregrine/protocol";

/** End mark, type of the vmdescription, and behind its be32 length how its JSON begins. */
const HEAD = [0x00, 0x06] as const;
const HEAD_BYTES = 6;
const JSON_START = [0x7b, 0x22] as const;
const JSON_END = "}";

/**
 * Says why the device sections at the end of a stream could not be told apart, if the stream has no footers but a
 * vmdescription: without one there is no reason to be found, and nothing is thrown.
 *
 * @param bytes from the first payload on, without the last byte, which an end mark should be.
 * @param first the header in front of them.
 * Errors: BAD_SECTION naming the device that the vmdescription does not fit; TRUNCATED.
 */
export function examineUndivided(bytes: Uint8Array, first: SectionHeader): void {
  const at = findDescription(bytes);
  if (at === undefined) return;
  const from = at + HEAD_BYTES;
  const length = new DataView(bytes.buffer, bytes.byteOffset + at + 2).getUint32(0);
  if (from + length > bytes.length + 1) throw truncated("the vmdescription", { section: "vmdescription" });
  const json = decodeText(bytes.subarray(from)) + JSON_END;
  cutDevices(bytes.subarray(0, at + 1), first, parseVmDescription(json));
}

function findDescription(bytes: Uint8Array): number | undefined {
  const last = bytes.length - HEAD_BYTES - JSON_START.length;
  for (
    let at = bytes.indexOf(HEAD[1], 1) - 1;
    at >= 0 && at <= last;
    at = bytes.indexOf(HEAD[1], at + 2) - 1
  ) {
    const json = at + HEAD_BYTES;
    if (bytes[at] === HEAD[0] && bytes[json] === JSON_START[0] && bytes[json + 1] === JSON_START[1])
      return at;
  }
  return undefined;
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new MigrationError("BAD_SECTION", "The vmdescription is not valid UTF-8", { cause });
  }
}
