import { pattern } from "./pattern.ts";

export const OPERATIONS_PER_SYNC = 10;
const MOST_BYTES = 100_000;

/** The write with this number: always the same for a drive of this length. */
export function operation(number: number, length: number): { position: number; bytes: Uint8Array } {
  const [place, size] = new Uint32Array(pattern(8, number * 3).slice().buffer);
  const position = place! % length;
  return { position, bytes: pattern(1 + (size! % Math.min(MOST_BYTES, length - position)), number) };
}
