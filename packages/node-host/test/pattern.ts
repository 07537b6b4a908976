/** So many bytes that differ from place to place, and from seed to seed. */
export function pattern(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed + 1;
  for (let index = 0; index < words.length; index++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + index;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}
