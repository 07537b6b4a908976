import type { SectionHeader } from "./messages.ts";
import { decodeUtf8 } from "./utf8.ts";
import { COMMAND_CODE, SECTION_TYPE } from "./wire.ts";

/** Something that may stand between two sections, with the offset behind its head. */
export type ScannedItem =
  | { readonly item: "full" | "start"; readonly header: SectionHeader; readonly end: number }
  | { readonly item: "continuation"; readonly id: number; readonly end: number }
  /** `end` is behind the payload. */
  | { readonly item: "command"; readonly code: number; readonly end: number }
  | { readonly item: "end-mark"; readonly end: number }
  /** More bytes are needed to tell. */
  | { readonly item: "incomplete" }
  | { readonly item: "other" };

const INCOMPLETE: ScannedItem = { item: "incomplete" };
const OTHER: ScannedItem = { item: "other" };
const LAST_COMMAND = Math.max(...Object.values(COMMAND_CODE));

/** Looks at what stands at `at`, without reading any payload but a command's. */
export function scanItem(bytes: Uint8Array, at: number): ScannedItem {
  switch (bytes[at]) {
    case undefined:
      return INCOMPLETE;
    case SECTION_TYPE.full:
      return scanHeader(bytes, at, "full");
    case SECTION_TYPE.start:
      return scanHeader(bytes, at, "start");
    case SECTION_TYPE.part:
    case SECTION_TYPE.end:
      if (at + 5 > bytes.length) return INCOMPLETE;
      return { item: "continuation", id: be32(bytes, at + 1), end: at + 5 };
    case SECTION_TYPE.command:
      return scanCommand(bytes, at);
    case SECTION_TYPE.endMark:
      return { item: "end-mark", end: at + 1 };
    default:
      return OTHER;
  }
}

function scanHeader(bytes: Uint8Array, at: number, kind: "full" | "start"): ScannedItem {
  const nameLength = bytes[at + 5];
  if (nameLength === undefined) return INCOMPLETE;
  const nameEnd = at + 6 + nameLength;
  if (nameEnd + 8 > bytes.length) return INCOMPLETE;
  const name = printable(bytes.subarray(at + 6, nameEnd));
  if (name === undefined) return OTHER;
  const header: SectionHeader = {
    kind,
    id: be32(bytes, at + 1),
    name,
    instance: be32(bytes, nameEnd),
    version: be32(bytes, nameEnd + 4),
  };
  return { item: kind, header, end: nameEnd + 8 };
}

function scanCommand(bytes: Uint8Array, at: number): ScannedItem {
  if (at + 5 > bytes.length) return INCOMPLETE;
  const code = be16(bytes, at + 1);
  if (code === 0 || code > LAST_COMMAND) return OTHER;
  const end = at + 5 + be16(bytes, at + 3);
  return end > bytes.length ? INCOMPLETE : { item: "command", code, end };
}

function printable(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0 || bytes.some((byte) => byte < 0x20 || byte === 0x7f)) return undefined;
  try {
    return decodeUtf8(bytes, "the name of a section");
  } catch {
    return undefined;
  }
}

/** Whether the footer of the section stands at `at`; undefined when too few bytes are there to tell. */
export function isFooter(bytes: Uint8Array, at: number, id: number): boolean | undefined {
  if (at < bytes.length && bytes[at] !== SECTION_TYPE.footer) return false;
  if (at + 5 > bytes.length) return undefined;
  return be32(bytes, at + 1) === id;
}

function be16(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 2).getUint16(0);
}

export function be32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0);
}
