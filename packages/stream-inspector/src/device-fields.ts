import { deviceValue, limitExceeded, MigrationError, walkDevice } from "@peregrine/protocol";
import type {
  DeviceField,
  VmDeviceDescription,
  VmFieldDescription,
  VmStateDescription,
} from "@peregrine/protocol";
import { hexOf } from "./hex.ts";

/** Fields of one device that are held at once. */
const MOST_FIELDS = 2 ** 20;

export interface NamedField extends DeviceField {
  /** Booleans, and integers up to 32 bits, as they are; larger ones as decimal text; everything else in hex. */
  readonly value: boolean | number | string;
}

/** A device as JSON: an object for a structure, an array for elements that are described once. */
export type FieldTree = NamedField["value"] | FieldTree[] | { [name: string]: FieldTree };

/**
 * Every field of a device's payload in its order.
 * Errors: BAD_SECTION when the description does not fit the payload, LIMIT_EXCEEDED.
 */
export function* namedFields(device: VmDeviceDescription, payload: Uint8Array): Generator<NamedField> {
  let count = 0;
  for (const field of walkDevice(device, payload)) {
    count += 1;
    if (count > MOST_FIELDS) {
      throw limitExceeded(`fields of '${device.name}'`, count, MOST_FIELDS);
    }
    yield { ...field, value: plainValue(field, payload) };
  }
}

/** The fields with the structures that they are in. Subsections are in braces. Errors: as {@link namedFields}. */
export function fieldTree(device: VmDeviceDescription, payload: Uint8Array): FieldTree {
  // All of them first: with that the description is known to fit, and the tree to have no more nodes than it has bytes.
  return layoutTree(device, [...namedFields(device, payload)].values());
}

type Layout = Pick<VmStateDescription, "fields"> & Partial<Pick<VmStateDescription, "subsections">>;

/** Takes the values from `fields`, which come in the order of the description. */
function layoutTree(
  { fields: described, subsections = [] }: Layout,
  fields: Iterator<NamedField>,
): FieldTree {
  // Names are a peer's: none of them may be that of something inherited.
  const tree = Object.create(null) as { [name: string]: FieldTree };
  const unique = uniqueNames();
  for (let at = 0; at < described.length;) {
    const { name, array_len: length, index } = described[at]!;
    const elements: FieldTree[] = [];
    const first = at;
    // Elements of one name that follow each other are one array, however they are described.
    for (; described[at]?.name === name; at += 1) pushElements(elements, described[at]!, fields);
    const isArray = length !== undefined || index !== undefined || at - first > 1;
    tree[unique(name)] = isArray ? elements : elements[0]!;
  }
  for (const subsection of subsections) {
    tree[unique(`{${subsection.vmsd_name}}`)] = layoutTree(subsection, fields);
  }
  return tree;
}

function pushElements(elements: FieldTree[], field: VmFieldDescription, fields: Iterator<NamedField>): void {
  // Of a run of elements without bytes none is walked.
  const count = field.array_len === undefined ? 1 : field.size === 0 ? 0 : field.array_len;
  for (let index = 0; index < count; index++) elements.push(elementTree(field, fields));
}

function elementTree(field: VmFieldDescription, fields: Iterator<NamedField>): FieldTree {
  if (field.struct !== undefined) return layoutTree(field.struct, fields);
  const next = fields.next();
  if (next.done === true) {
    throw new MigrationError("INTERNAL", `the field '${field.name}' was not walked`);
  }
  return next.value.value;
}

function plainValue(field: DeviceField, payload: Uint8Array): NamedField["value"] {
  const value = deviceValue(field, payload);
  if (typeof value === "bigint") return value.toString();
  return value instanceof Uint8Array ? hexOf(value) : value;
}

/** Numbers names from the second time on that they come. */
export function uniqueNames(): (name: string) => string {
  const times = new Map<string, number>();
  return (name) => {
    const time = (times.get(name) ?? 0) + 1;
    times.set(name, time);
    return time === 1 ? name : `${name} (${time})`;
  };
}
