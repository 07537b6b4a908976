import type { ByteWriter } from "./byte-writer.ts";
import { MigrationError } from "./errors.ts";
import type { Configuration, SectionHeader } from "./messages.ts";
import { encodeUtf8 } from "./utf8.ts";
import type { VmDescription } from "./vm-description.ts";
import {
  CONFIGURATION_SUBSECTION,
  CONFIGURATION_SUBSECTION_VERSION,
  SECTION_TYPE,
  STREAM_MAGIC,
  STREAM_VERSION,
  UUID_BYTES,
} from "./wire.ts";

/** Magic and version: the first 8 bytes. */
export function encodeHeader(w: ByteWriter): void {
  w.be32(STREAM_MAGIC);
  w.be32(STREAM_VERSION);
}

/** The configuration section with the subsections that are given. It has no footer. */
export function encodeConfiguration(w: ByteWriter, configuration: Configuration): void {
  const { machineType, targetPageBits, capabilities, uuid } = configuration;
  const name = encodeUtf8(machineType);
  w.u8(SECTION_TYPE.configuration);
  w.be32(name.length);
  w.bytes(name);
  if (targetPageBits !== undefined) {
    encodeSubsection(w, CONFIGURATION_SUBSECTION.targetPageBits);
    w.be32(targetPageBits);
  }
  if (capabilities !== undefined) {
    encodeSubsection(w, CONFIGURATION_SUBSECTION.capabilities);
    w.be32(capabilities.length);
    for (const capability of capabilities) w.counted(capability);
  }
  if (uuid !== undefined) {
    if (uuid.length !== UUID_BYTES) {
      throw new MigrationError("INTERNAL", `a uuid has ${UUID_BYTES} bytes, not ${uuid.length}`);
    }
    encodeSubsection(w, CONFIGURATION_SUBSECTION.uuid);
    w.bytes(uuid);
  }
}

function encodeSubsection(w: ByteWriter, name: string): void {
  w.u8(SECTION_TYPE.subsection);
  w.counted(name);
  w.be32(CONFIGURATION_SUBSECTION_VERSION);
}

/** What precedes the payload of a START or FULL section. */
export function encodeSectionHeader(
  w: ByteWriter,
  header: Omit<SectionHeader, "kind"> & { readonly kind: "start" | "full" },
): void {
  w.u8(SECTION_TYPE[header.kind]);
  w.be32(header.id);
  w.counted(header.name);
  w.be32(header.instance);
  w.be32(header.version);
}

/** What precedes the payload of a PART or END section. */
export function encodeSectionContinuation(
  w: ByteWriter,
  header: { readonly kind: "part" | "end"; readonly id: number },
): void {
  w.u8(SECTION_TYPE[header.kind]);
  w.be32(header.id);
}

/** What follows the payload of every section. */
export function encodeFooter(w: ByteWriter, id: number): void {
  w.u8(SECTION_TYPE.footer);
  w.be32(id);
}

/** The byte behind the last section. */
export function encodeEndMark(w: ByteWriter): void {
  w.u8(SECTION_TYPE.endMark);
}

/** The JSON after the end mark. */
export function encodeVmDescription(w: ByteWriter, description: VmDescription): void {
  encodeVmDescriptionText(w, JSON.stringify(description));
}

/** The JSON after the end mark, as it was received. */
export function encodeVmDescriptionText(w: ByteWriter, text: string): void {
  const json = encodeUtf8(text);
  w.u8(SECTION_TYPE.vmDescription);
  w.be32(json.length);
  w.bytes(json);
}
