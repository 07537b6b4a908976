import { MigrationError } from "./errors.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";
import type { VmDeviceDescription, VmFieldDescription, VmStateDescription } from "./vm-description.ts";
import { SECTION_TYPE } from "./wire.ts";

/** A field without fields of its own, at its place in a device's payload. */
export interface DeviceField {
  /** From the device down, for example `irq_state[2].level`; a subsection is in braces. */
  readonly path: string;
  /** Bytes from the start of the payload. */
  readonly offset: number;
  readonly size: number;
  readonly type: string;
}

/** Fields without bytes in a payload. Real devices have none; a forged description has them for every byte. */
const MAX_EMPTY_FIELDS = 65_536;
/** Type byte, name length and version; the name comes on top. */
const SUBSECTION_HEAD_BYTES = 6;

type Layout = Pick<VmStateDescription, "fields"> & Partial<Pick<VmStateDescription, "subsections">>;

/** Bytes of the device's payload, by its entry in the vmdescription. */
export function deviceBytes(device: VmDeviceDescription): number {
  return layoutBytes(device);
}

function layoutBytes({ fields, subsections = [] }: Layout): number {
  let total = 0;
  for (const field of fields) total += field.size * (field.array_len ?? 1);
  for (const subsection of subsections) total += subsectionHeadBytes(subsection) + layoutBytes(subsection);
  return total;
}

/**
 * Walks a device's payload with nothing but its entry in the vmdescription: structures and arrays are
 * opened, subsections are checked against the bytes.
 *
 * Errors: BAD_SECTION when the entry does not describe the bytes exactly, to the last one.
 */
export function* walkDevice(device: VmDeviceDescription, payload: Uint8Array): Generator<DeviceField> {
  const walk: Walk = { payload, device: device.name, emptyFields: 0 };
  const end = yield* walkLayout(walk, device, 0, "");
  if (end !== payload.length) throw misfit(walk, device.name, `leaves ${payload.length - end} bytes`);
}

interface Walk {
  readonly payload: Uint8Array;
  readonly device: string;
  /** Fields without bytes that were met. */
  emptyFields: number;
}

/** @returns the offset behind what was walked. */
function* walkLayout(walk: Walk, layout: Layout, at: number, prefix: string): Generator<DeviceField, number> {
  let offset = at;
  let before: { readonly name: string; readonly next: number } | undefined;
  for (const field of layout.fields) {
    // QEMU 10.0 gives no index to the last of several elements that it lists singly.
    const index = field.index ?? (field.name === before?.name ? before.next : undefined);
    offset = yield* walkRun(walk, field, index, offset, prefix);
    before = { name: field.name, next: (index ?? 0) + (field.array_len ?? 1) };
  }
  for (const subsection of layout.subsections ?? []) {
    offset += requireSubsection(walk, subsection, offset);
    offset = yield* walkLayout(walk, subsection, offset, `${prefix}{${subsection.vmsd_name}}.`);
  }
  return offset;
}

/** @param first index of the element, or of the first one in a run; undefined: it is none of several. */
function* walkRun(
  walk: Walk,
  field: VmFieldDescription,
  first: number | undefined,
  at: number,
  prefix: string,
): Generator<DeviceField, number> {
  const path = prefix + field.name;
  if (field.array_len === undefined) {
    return yield* walkField(walk, field, at, first === undefined ? path : `${path}[${first}]`);
  }
  // Elements without bytes are nothing to show, and a forged count of them would never end.
  if (field.size === 0) return at;
  let offset = at;
  for (let index = 0; index < field.array_len; index += 1) {
    offset = yield* walkField(walk, field, offset, `${path}[${(first ?? 0) + index}]`);
  }
  return offset;
}

function* walkField(
  walk: Walk,
  field: VmFieldDescription,
  at: number,
  path: string,
): Generator<DeviceField, number> {
  if (field.size === 0) countEmptyField(walk, path);
  const end = at + field.size;
  if (end > walk.payload.length) {
    throw misfit(walk, path, `has ${field.size} bytes where ${walk.payload.length - at} are left`);
  }
  if (field.struct === undefined) {
    yield { path, offset: at, size: field.size, type: field.type };
    return end;
  }
  const structEnd = yield* walkLayout(walk, field.struct, at, `${path}.`);
  if (structEnd === end) return end;
  throw misfit(walk, path, `has ${field.size} bytes and a structure of ${structEnd - at}`);
}

function countEmptyField(walk: Walk, path: string): void {
  walk.emptyFields += 1;
  if (walk.emptyFields > MAX_EMPTY_FIELDS) {
    throw misfit(walk, path, `is one of more than ${MAX_EMPTY_FIELDS} fields without bytes`);
  }
}

/** @returns the bytes of the subsection's head. */
function requireSubsection(walk: Walk, { vmsd_name: name, version }: VmStateDescription, at: number): number {
  const length = subsectionHeadBytes({ vmsd_name: name });
  const { payload } = walk;
  if (at + length > payload.length) throw misfit(walk, name, "begins behind the end of the payload");
  const view = new DataView(payload.buffer, payload.byteOffset + at, length);
  const received = decodeName(payload.subarray(at + 2, at + length - 4));
  const fits =
    view.getUint8(0) === SECTION_TYPE.subsection &&
    view.getUint8(1) === length - SUBSECTION_HEAD_BYTES &&
    received === name &&
    view.getUint32(length - 4) === version;
  if (!fits) throw misfit(walk, name, `is not the subsection at byte ${at} of the payload`);
  return length;
}

function decodeName(bytes: Uint8Array): string | undefined {
  try {
    return decodeUtf8(bytes, "the name of a subsection");
  } catch {
    return undefined;
  }
}

function subsectionHeadBytes({ vmsd_name: name }: Pick<VmStateDescription, "vmsd_name">): number {
  return SUBSECTION_HEAD_BYTES + encodeUtf8(name).length;
}

function misfit({ device }: Walk, path: string, what: string): MigrationError {
  return new MigrationError("BAD_SECTION", `The vmdescription does not fit: '${path}' ${what}`, {
    section: device,
  });
}
