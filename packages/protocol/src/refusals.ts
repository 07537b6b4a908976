import { MigrationError } from "./errors.ts";
import type { MigrationErrorDetail } from "./errors.ts";

/**
 * What a receiver refuses, in the words that operators know from QEMU. The stream decoder adds the
 * byte offset, the section and the last good section to each of them.
 */

type Detail = MigrationErrorDetail;

const hex = (value: number): string => `0x${value.toString(16)}`;

export function notAStream(detail?: Detail): MigrationError {
  return new MigrationError("NOT_A_STREAM", "Not a migration stream", detail);
}

export function unsupportedVersion(version: number, detail?: Detail): MigrationError {
  const text =
    version === 2
      ? "SaveVM v2 format is obsolete and don't work anymore"
      : "Unsupported migration stream version";
  return new MigrationError("UNSUPPORTED_VERSION", text, detail);
}

export function configurationMissing(detail?: Detail): MigrationError {
  return new MigrationError("CONFIGURATION_MISSING", "Configuration section missing", detail);
}

/** The stream is of another machine type than this machine. */
export function machineTypeMismatch(received: string, local: string, detail?: Detail): MigrationError {
  const text = `Machine type received is '${received}' and local is '${local}'`;
  return new MigrationError("MACHINE_TYPE_MISMATCH", text, detail);
}

/** The stream has a device that this machine has not. */
export function unknownSection(name: string, instance: number, detail?: Detail): MigrationError {
  const text =
    `Unknown savevm section or instance '${name}' ${instance}. ` +
    "Make sure that your current VM setup matches your saved VM setup, including any hotplugged devices";
  return new MigrationError("UNKNOWN_SECTION", text, detail);
}

/**
 * A device is newer than it is here.
 * @param supported the newest version that can be loaded here.
 */
export function unsupportedSectionVersion(
  name: string,
  received: number,
  supported: number,
  detail?: Detail,
): MigrationError {
  const text = `savevm: unsupported version ${received} for '${name}' v${supported}`;
  return new MigrationError("UNSUPPORTED_SECTION_VERSION", text, detail);
}

export function unknownSectionType(type: number, detail?: Detail): MigrationError {
  return new MigrationError("BAD_SECTION", `Unknown savevm section type ${type}`, detail);
}

export function unknownSectionId(id: number, detail?: Detail): MigrationError {
  return new MigrationError("UNKNOWN_SECTION", `Unknown savevm section ${id}`, detail);
}

export function footerMismatch(
  name: string,
  read: number,
  expected: number,
  detail?: Detail,
): MigrationError {
  const text = `Mismatched section id in footer for ${name} - read ${hex(read)} expected ${hex(expected)}`;
  return new MigrationError("BAD_FOOTER", text, detail);
}

export function footerMissing(name: string, detail?: Detail): MigrationError {
  return new MigrationError("BAD_FOOTER", `Missing section footer for ${name}`, detail);
}

/** A RAM block has another length than here. Both are bytes. */
export function ramBlockSizeMismatch(
  name: string,
  received: number,
  local: number,
  detail?: Detail,
): MigrationError {
  const text = `Size mismatch: ${name}: ${hex(received)} != ${hex(local)}`;
  return new MigrationError("BAD_RAM_BLOCK", text, detail);
}

/** The stream has a RAM block that this machine has not. */
export function unknownRamBlock(name: string, detail?: Detail): MigrationError {
  return new MigrationError("BAD_RAM_BLOCK", `Unknown ramblock "${name}", cannot accept migration`, detail);
}

/**
 * A page lies outside its block.
 * @param offset bytes.
 */
export function illegalRamOffset(offset: number, detail?: Detail): MigrationError {
  return new MigrationError("BAD_RAM_PAGE", `Illegal RAM offset ${offset.toString(16)}`, detail);
}

export function unknownRamFlags(flags: number, detail?: Detail): MigrationError {
  return new MigrationError("BAD_RAM_PAGE", `Unknown combination of migration flags: ${hex(flags)}`, detail);
}

/** A page record continues a block before any was named. */
export function noBlockToContinue(detail?: Detail): MigrationError {
  return new MigrationError("BAD_RAM_PAGE", "Ack, bad migration stream!", detail);
}

/** @param why `wrong compression`, `len overflow` or `decode error`. */
export function badDelta(
  why: "wrong compression" | "len overflow" | "decode error",
  detail?: Detail,
): MigrationError {
  return new MigrationError("BAD_RAM_PAGE", `Failed to load XBZRLE page - ${why}!`, detail);
}

/** @param why what is wrong with the embedded stream, as the end of a sentence. */
export function badPackage(why: string): MigrationError {
  return new MigrationError("BAD_STREAM_COMMAND", `The package of command PACKAGED ${why}`);
}

export function opaqueLiveSection(name: string): MigrationError {
  return new MigrationError("INTERNAL", `the section '${name}' has parts and cannot be taken whole`);
}

export function unexpectedData(after: string): MigrationError {
  return new MigrationError("UNEXPECTED_DATA", `Unexpected data after ${after}`);
}

/**
 * The stream ended too early.
 * @param expected what should have come, for example `a section type`.
 */
export function truncated(expected: string, detail?: Detail): MigrationError {
  const text = `The stream ended where ${expected} was expected: Input/output error`;
  return new MigrationError("TRUNCATED", text, detail);
}

/**
 * Something is larger than it may be.
 * @param what the thing that is too large, with its unit, for example `bytes of RAM`.
 */
export function limitExceeded(what: string, value: number, limit: number, detail?: Detail): MigrationError {
  return new MigrationError("LIMIT_EXCEEDED", `${value} ${what} are more than the limit of ${limit}`, detail);
}

/**
 * The guest needs more memory than is accepted here.
 * @param needed bytes of the guest's memory.
 * @param accepted the most that it may have here.
 */
export function tooMuchRam(needed: number, accepted: number, detail?: Detail): MigrationError {
  return new MigrationError(
    "LIMIT_EXCEEDED",
    `The guest needs ${inUnits(needed)} of memory and no more than ${inUnits(accepted)} are accepted here: allow more ` +
      "with --max-ram, which is the free memory of the host unless it is given",
    detail,
  );
}

/** Exactly, in the largest unit that allows that. */
function inUnits(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let value = bytes;
  let unit = 0;
  for (; value > 0 && value % 1024 === 0 && unit < units.length - 1; unit++) value /= 1024;
  return `${value} ${units[unit]}`;
}

/** What a handler threw, with the place that it does not know. */
export function placeError(error: unknown, place: MigrationErrorDetail): unknown {
  if (!MigrationError.is(error) || error.offset !== undefined) return error;
  return new MigrationError(error.code, error.message, { ...place, cause: error });
}

/** The same error, with the place added to its detail and, in words, to its message. */
export function locateError(error: MigrationError, place: MigrationErrorDetail): MigrationError {
  const offset = error.offset ?? place.offset;
  const section = error.section ?? place.section;
  const lastGoodSection = error.lastGoodSection ?? place.lastGoodSection;
  const words = [
    ...(section === undefined ? [] : [`section '${section}'`]),
    ...(offset === undefined ? [] : [`byte ${offset}`]),
    ...(lastGoodSection === undefined ? [] : [`last good section '${lastGoodSection}'`]),
  ];
  return new MigrationError(
    error.code,
    words.length === 0 ? error.message : `${error.message} (${words.join(", ")})`,
    {
      cause: error,
      ...(offset === undefined ? {} : { offset }),
      ...(section === undefined ? {} : { section }),
      ...(lastGoodSection === undefined ? {} : { lastGoodSection }),
    },
  );
}
