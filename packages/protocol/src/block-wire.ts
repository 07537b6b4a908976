/** The section that carries disks with RAM, from 0.13 to 9.0. */
export const BLOCK_SECTION = { name: "block", instance: 0, version: 1 } as const;

/** Bytes of a chunk of a disk. The last one of a disk is sent whole, whatever lies behind the disk's end. */
export const BLOCK_CHUNK_BYTES = 1024 * 1024;

/** Offsets are multiples of a sector. The flags lie in the bits below. */
export const BLOCK_SECTOR_BYTES = 512;

export const BLOCK_FLAG = { deviceBlock: 0x01, endOfSection: 0x02, progress: 0x04, zero: 0x08 } as const;
