import type { DeviceField } from "./device-layout.ts";

const INTEGER = /^(u?)int(8|16|32|64)( equal| le)?$/;

/** A decoded field: what is no boolean and no integer stays bytes. 64-bit integers are bigints. */
export type DeviceValue = boolean | number | bigint | Uint8Array;

/** The value of a field of the payload, by its type. Bytes are a view into the payload. */
export function deviceValue(
  { offset, size, type }: Pick<DeviceField, "offset" | "size" | "type">,
  payload: Uint8Array,
): DeviceValue {
  const bytes = payload.subarray(offset, offset + size);
  if (type === "bool" && size === 1) return bytes[0] !== 0;
  const integer = INTEGER.exec(type);
  if (integer === null || Number(integer[2]) !== 8 * bytes.length) return bytes;
  return integerOf(bytes, integer[1] === "u", integer[3] === " le");
}

function integerOf(bytes: Uint8Array, unsigned: boolean, littleEndian: boolean): number | bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (bytes.length) {
    case 1:
      return unsigned ? view.getUint8(0) : view.getInt8(0);
    case 2:
      return unsigned ? view.getUint16(0, littleEndian) : view.getInt16(0, littleEndian);
    case 4:
      return unsigned ? view.getUint32(0, littleEndian) : view.getInt32(0, littleEndian);
    default:
      return unsigned ? view.getBigUint64(0, littleEndian) : view.getBigInt64(0, littleEndian);
  }
}
