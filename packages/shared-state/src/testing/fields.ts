import { deviceValue, walkDevice } from "@peregrine/protocol";
import type { DeviceValue, VmDeviceDescription } from "@peregrine/protocol";
import type { FieldValue, StateValue } from "../state-description.ts";

/** Every field of a section's payload with its value, by its entry in the vmdescription alone. */
export function describedFields(
  device: VmDeviceDescription,
  payload: Uint8Array,
): readonly (readonly [path: string, value: DeviceValue])[] {
  return [...walkDevice(device, payload)].map((field) => [field.path, deviceValue(field, payload)]);
}

/** The same of a state as a device saves it. */
export function stateFields(state: StateValue): readonly (readonly [path: string, value: FieldValue])[] {
  return Object.entries(state).flatMap(([name, value]) => fieldsOf(value, name));
}

function fieldsOf(value: FieldValue, path: string): (readonly [path: string, value: FieldValue])[] {
  if (value instanceof Uint8Array || typeof value !== "object") return [[path, value]];
  if (Array.isArray(value)) {
    return value.flatMap((element: FieldValue, index) => fieldsOf(element, `${path}[${index}]`));
  }
  return Object.entries(value as StateValue).flatMap(([name, field]) => fieldsOf(field, `${path}.${name}`));
}
