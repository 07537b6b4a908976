// What drive.wasm leaves in its file: the same records, computed here. See src/drive.c.

const RECORD_BYTES = 1000;
const RECORD_WORDS = RECORD_BYTES / 4;
const PAYLOAD_AT = 3;
const HEADER_MAGIC = 0x56495244;
const RECORD_MAGIC = 0x44524352;

/** The file after so many operations, all of them synced, on what was in it before. */
export function referenceDrive(before: Uint8Array, operations: number): Uint8Array {
  const image = Uint8Array.from(before);
  const places = Math.floor(image.length / RECORD_BYTES);
  const last = new Uint32Array(places);
  for (let sequence = 1; sequence <= operations; sequence++) {
    last[1 + (mix32(sequence) % (places - 1))] = sequence;
  }
  writeRecord(image, HEADER_MAGIC, operations, 0);
  for (const [place, sequence] of last.entries()) {
    if (sequence !== 0) writeRecord(image, RECORD_MAGIC, sequence, place);
  }
  return image;
}

function writeRecord(image: Uint8Array, magic: number, sequence: number, place: number): void {
  const view = new DataView(image.buffer, place * RECORD_BYTES, RECORD_BYTES);
  const words = new Uint32Array(RECORD_WORDS);
  words.set([magic, sequence, place]);
  for (let index = 0; index < RECORD_WORDS - PAYLOAD_AT - 1; index++) {
    words[PAYLOAD_AT + index] = mix32(Math.imul(sequence, 0x9e3779b9) + index);
  }
  let checksum = 0;
  for (const word of words.subarray(0, RECORD_WORDS - 1)) checksum = mix32(checksum ^ word);
  words[RECORD_WORDS - 1] = checksum;
  for (const [index, word] of words.entries()) view.setUint32(index * 4, word, true);
}

/** The finalizer of MurmurHash3. @returns an unsigned number. */
function mix32(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
