import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { constants, zstdCompressSync } from "node:zlib";

const MIB = 1 << 20;
/** So much is made; files repeat it. No compressor at level 1 looks back that far. */
const UNIQUE_BYTES = 32 * MIB;
const RECORD_BYTES = 64;
/** Of each record. Zstd makes a quarter of the records with it. */
const RANDOM_BYTES = 7;
const SEED = 1;
/** What a packet of multifd compresses at once. */
const PACKET_BYTES = 512 * 1024;

/**
 * What a heap looks like: records with pointers, small numbers, some bytes that nobody can guess, and zeros. The same in
 * every run.
 */
export function records(): Buffer {
  const random = generator(SEED);
  const bytes = Buffer.alloc(UNIQUE_BYTES);
  for (let at = 0; at < UNIQUE_BYTES; at += RECORD_BYTES) {
    bytes.writeUInt32LE(0x1000_0000 + at, at);
    bytes.writeUInt32LE(0x7f3a, at + 4);
    bytes.writeUInt32LE(0x2000_0000 + (random() % 4096) * RECORD_BYTES, at + 8);
    bytes.writeUInt32LE(0x7f3a, at + 12);
    bytes.writeUInt32LE(random() % 100, at + 16);
    bytes.writeUInt32LE(random() % 3, at + 20);
    for (let n = 0; n < RANDOM_BYTES; n++) bytes[at + 32 + n] = random();
  }
  return bytes;
}

/** How many times smaller zstd makes it at level 1, packet by packet. */
export function zstdRatio(bytes: Buffer): number {
  let compressed = 0;
  for (let at = 0; at < bytes.length; at += PACKET_BYTES) {
    const packet = bytes.subarray(at, at + PACKET_BYTES);
    compressed += zstdCompressSync(packet, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }).length;
  }
  return bytes.length / compressed;
}

/** Writes a file of `mib` MiB that repeats `bytes`. @returns its name in the directory. */
export async function repeatedFile(directory: string, bytes: Buffer, mib: number): Promise<string> {
  const name = `repeated-${mib}`;
  const file = createWriteStream(join(directory, name));
  for (let left = mib * MIB; left > 0; left -= bytes.length) {
    if (!file.write(bytes.subarray(0, left))) await once(file, "drain");
  }
  file.end();
  await once(file, "close");
  return name;
}

/** 32-bit numbers that look random: a multiplicative hash of a counter. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}
