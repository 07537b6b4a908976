import { MigrationError } from "@peregrine/protocol";
import type {
  ByteWriter,
  VmDeviceDescription,
  VmFieldDescription,
  VmStateDescription,
} from "@peregrine/protocol";
import { hasFixedLayout, SCALAR_BYTES } from "./state-description.ts";
import type {
  ArrayField,
  Count,
  Field,
  FieldValue,
  ScalarType,
  ScalarValue,
  StateDescription,
  StateValue,
} from "./state-description.ts";

const MASK_32 = 0xffff_ffffn;

/**
 * Writes `value` as the bytes of a section's payload.
 * Errors: DEVICE_STATE when the value does not fit its description; the message names the field.
 */
export function encodeState(description: StateDescription, value: StateValue, writer: ByteWriter): void {
  encodeStruct(description, value, writer, description.name);
}

/**
 * The entry of the vmdescription for the bytes that {@link encodeState} makes of the same value, with
 * the sizes they have this time.
 */
export function describeState(
  description: StateDescription,
  value: StateValue,
  instance: number,
): VmDeviceDescription {
  const { layout } = describeStruct(description, value);
  return { name: description.name, instance_id: instance, ...layout };
}

function encodeStruct(
  description: StateDescription,
  value: StateValue,
  writer: ByteWriter,
  path: string,
): void {
  for (const field of description.fields) {
    const item = value[field.name];
    const here = `${path}.${field.name}`;
    switch (field.type) {
      case "buffer": {
        if (!(item instanceof Uint8Array)) throw unfit(here, item, "bytes");
        requireCount(field.length, item.length, value, here);
        writer.bytes(item);
        break;
      }
      case "struct":
        encodeStruct(field.struct, requireStruct(item, here), writer, here);
        break;
      case "array":
        encodeArray(field, item, value, writer, here);
        break;
      default:
        if (!fitsScalar(field.type, item)) throw unfit(here, item, field.type);
        writeScalar(field.type, item, writer);
    }
  }
}

function encodeArray(
  field: ArrayField,
  item: FieldValue | undefined,
  parent: StateValue,
  writer: ByteWriter,
  path: string,
): void {
  const elements = requireArray(item, path);
  requireCount(field.count, elements.length, parent, path);
  for (const [index, element] of elements.entries()) {
    if (typeof field.of === "string") {
      if (!fitsScalar(field.of, element)) throw unfit(`${path}[${index}]`, element, field.of);
      writeScalar(field.of, element, writer);
    } else {
      const here = `${path}[${index}]`;
      encodeStruct(field.of, requireStruct(element, here), writer, here);
    }
  }
}

function writeScalar(type: ScalarType, value: ScalarValue, writer: ByteWriter): void {
  switch (SCALAR_BYTES[type]) {
    case 1:
      return writer.u8(Number(value) & 0xff);
    case 2:
      return writer.be16(Number(value) & 0xffff);
    case 4:
      return writer.be32(Number(value) >>> 0);
    default: {
      const bits = BigInt.asUintN(64, BigInt(value));
      writer.be32(Number(bits >> 32n));
      writer.be32(Number(bits & MASK_32));
    }
  }
}

function fitsScalar(type: ScalarType, value: FieldValue | undefined): value is ScalarValue {
  if (type === "bool") return typeof value === "boolean";
  if (type === "uint64") return typeof value === "bigint" && BigInt.asUintN(64, value) === value;
  if (type === "int64") return typeof value === "bigint" && BigInt.asIntN(64, value) === value;
  if (typeof value !== "number" || !Number.isInteger(value)) return false;
  const values = 2 ** (8 * SCALAR_BYTES[type]);
  const least = type.startsWith("u") ? 0 : -values / 2;
  return value >= least && value < least + values;
}

function requireCount(count: Count, actual: number, parent: StateValue, path: string): void {
  if (typeof count === "number") {
    if (actual !== count) throw unfit(path, actual, `length (it must be ${count})`);
    return;
  }
  const said = Number(parent[count.from]);
  if (actual !== said) throw unfit(path, actual, `length ('${count.from}' says ${said})`);
  if (actual > count.max) throw unfit(path, actual, `length (at most ${count.max})`);
}

function requireArray(value: FieldValue | undefined, path: string): readonly (ScalarValue | StateValue)[] {
  if (!Array.isArray(value)) throw unfit(path, value, "array");
  return value as readonly (ScalarValue | StateValue)[];
}

function requireStruct(value: FieldValue | undefined, path: string): StateValue {
  if (typeof value !== "object" || Array.isArray(value) || value instanceof Uint8Array) {
    throw unfit(path, value, "structure");
  }
  return value as StateValue;
}

function unfit(path: string, value: FieldValue | undefined, expected: string): MigrationError {
  const shown = typeof value === "object" ? "an object" : String(value);
  return new MigrationError("DEVICE_STATE", `the state '${path}' is ${shown}, which is no valid ${expected}`);
}

interface Described<T> {
  readonly layout: T;
  /** Bytes on the wire. */
  readonly size: number;
}

function describeStruct(description: StateDescription, value: StateValue): Described<VmStateDescription> {
  const fields: VmFieldDescription[] = [];
  let size = 0;
  for (const field of description.fields) size += describeField(field, value[field.name], fields);
  return { layout: { vmsd_name: description.name, version: description.version, fields }, size };
}

/** Adds the entries of one field. @returns its bytes on the wire. */
function describeField(field: Field, value: FieldValue | undefined, into: VmFieldDescription[]): number {
  const { name } = field;
  switch (field.type) {
    case "buffer": {
      const size = (value as Uint8Array).length;
      into.push({ name, type: "buffer", size });
      return size;
    }
    case "struct": {
      const { layout, size } = describeStruct(field.struct, value as StateValue);
      into.push({ name, type: "struct", struct: layout, size });
      return size;
    }
    case "array":
      return describeArray(field, value as readonly (ScalarValue | StateValue)[], into);
    default: {
      const size = SCALAR_BYTES[field.type];
      into.push({ name, type: field.type, size });
      return size;
    }
  }
}

function describeArray(
  field: ArrayField,
  elements: readonly (ScalarValue | StateValue)[],
  into: VmFieldDescription[],
): number {
  const { name, of } = field;
  const [first] = elements;
  // Readers take an entry with array_len 0 for one element, so an empty array has no entry.
  if (first === undefined) return 0;
  if (typeof of === "string") {
    const size = SCALAR_BYTES[of];
    into.push({ name, array_len: elements.length, type: of, size });
    return size * elements.length;
  }
  if (hasFixedLayout(of)) {
    const { layout, size } = describeStruct(of, first as StateValue);
    into.push({ name, array_len: elements.length, type: "struct", struct: layout, size });
    return size * elements.length;
  }
  let total = 0;
  for (const [index, element] of elements.entries()) {
    const { layout, size } = describeStruct(of, element as StateValue);
    into.push({ name, index, type: "struct", struct: layout, size });
    total += size;
  }
  return total;
}
