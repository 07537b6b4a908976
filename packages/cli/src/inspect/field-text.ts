import type { NamedField } from "@peregrine/stream-inspector";

/** Digits of hex that are shown of a long value. */
export const SHOWN_DIGITS = 64;
/** From here on the hexadecimal form of a number tells something. */
const SMALLEST_HEX = 10;

/** The value of a field for a person. @param type of the field in the vmdescription. */
export function valueText(value: NamedField["value"], type: string): string {
  if (typeof value === "boolean") return String(value);
  if (/int\d/u.test(type)) {
    const number = BigInt(value);
    return number < SMALLEST_HEX ? String(number) : `${number} (0x${number.toString(16)})`;
  }
  const text = String(value);
  if (text.length <= SHOWN_DIGITS) return text;
  return `${text.slice(0, SHOWN_DIGITS)}... (${text.length / 2} bytes)`;
}
