import { ByteReader, deviceValue, MigrationError } from "@peregrine/protocol";
import type { DeviceValue, VmDeviceDescription, VmFieldDescription } from "@peregrine/protocol";

export type WalkedValue = DeviceValue | WalkedState | readonly WalkedValue[];

/** The fields of a section or structure, as the vmdescription names them. */
export interface WalkedState {
  readonly [field: string]: WalkedValue;
}

/**
 * Reads a section's payload with nothing but its entry in the vmdescription: integers of up to 32 bits
 * as numbers, 64-bit integers as bigints, and what has a type that is not known here as bytes.
 *
 * Errors: BAD_SECTION when the entry does not describe the bytes exactly, to the last one.
 */
export function walkState(device: VmDeviceDescription, payload: Uint8Array): WalkedState {
  const input = new ByteReader();
  input.push(payload);
  const state = walkFields(device.fields, input, device.name);
  if (input.available > 0) throw misfit(device.name, `leaves ${input.available} bytes undescribed`);
  return state;
}

function walkFields(fields: readonly VmFieldDescription[], input: ByteReader, path: string): WalkedState {
  const values = new Map<string, WalkedValue>();
  /** Arrays whose elements are listed singly. */
  const lists = new Map<string, WalkedValue[]>();
  for (const field of fields) {
    const here = `${path}.${field.name}`;
    if (field.array_len !== undefined) {
      values.set(field.name, walkRun(field, field.array_len, input, here));
    } else if (field.index === undefined) {
      values.set(field.name, walkField(field, input, here));
    } else {
      const elements = lists.get(field.name) ?? [];
      if (elements.length !== field.index) throw misfit(here, `has element ${field.index} out of order`);
      elements.push(walkField(field, input, here));
      lists.set(field.name, elements);
      values.set(field.name, elements);
    }
  }
  return Object.fromEntries(values);
}

function walkRun(field: VmFieldDescription, count: number, input: ByteReader, path: string): WalkedValue[] {
  // Checked first, so that a forged count cannot make a long list of elements without bytes.
  if (field.size < 1 || count * field.size > input.available) {
    throw misfit(path, `describes ${count} times ${field.size} bytes where ${input.available} are left`);
  }
  const elements: WalkedValue[] = [];
  while (elements.length < count) elements.push(walkField(field, input, path));
  return elements;
}

function walkField(field: VmFieldDescription, input: ByteReader, path: string): WalkedValue {
  if (!Number.isSafeInteger(field.size) || field.size < 0 || field.size > input.available) {
    throw misfit(path, `describes ${field.size} bytes where ${input.available} are left`);
  }
  const bytes = input.view(field.size).slice();
  if (field.struct !== undefined) return walkStruct(field.struct.fields, bytes, path);
  return deviceValue({ ...field, offset: 0 }, bytes);
}

function walkStruct(fields: readonly VmFieldDescription[], bytes: Uint8Array, path: string): WalkedState {
  const input = new ByteReader();
  input.push(bytes);
  const state = walkFields(fields, input, path);
  if (input.available > 0) throw misfit(path, `leaves ${input.available} bytes undescribed`);
  return state;
}

function misfit(path: string, what: string): MigrationError {
  return new MigrationError("BAD_SECTION", `the vmdescription of '${path}' ${what}`);
}
