import { BLOCK_CHUNK_BYTES, BLOCK_FLAG, BLOCK_SECTOR_BYTES } from "./block-wire.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { MigrationError } from "./errors.ts";

/** A record with a chunk of a disk. `offset` in bytes. */
export function encodeBlockChunk(w: ByteWriter, disk: string, offset: number, bytes: Uint8Array): void {
  if (bytes.length !== BLOCK_CHUNK_BYTES) {
    throw new MigrationError("INTERNAL", `a chunk has ${BLOCK_CHUNK_BYTES} bytes, not ${bytes.length}`);
  }
  encodeBlockChunkHead(w, disk, offset);
  w.bytes(bytes);
}

/** The same up to the chunk's bytes, for who has them elsewhere. */
export function encodeBlockChunkHead(w: ByteWriter, disk: string, offset: number): void {
  putWord(w, offset, BLOCK_FLAG.deviceBlock);
  w.counted(disk);
}

/** A record of a chunk of zeros. The receiver must know it: releases before 1.6 do not. */
export function encodeZeroBlockChunk(w: ByteWriter, disk: string, offset: number): void {
  putWord(w, offset, BLOCK_FLAG.deviceBlock + BLOCK_FLAG.zero);
  w.counted(disk);
}

/** How much of the first pass is sent, in percent. */
export function encodeBlockProgress(w: ByteWriter, percent: number): void {
  putWord(w, percent * BLOCK_SECTOR_BYTES, BLOCK_FLAG.progress);
}

/** The record that ends the payload of every `block` section. */
export function encodeBlockEnd(w: ByteWriter): void {
  putWord(w, 0, BLOCK_FLAG.endOfSection);
}

function putWord(w: ByteWriter, offset: number, flags: number): void {
  if (offset % BLOCK_SECTOR_BYTES !== 0) {
    throw new MigrationError("INTERNAL", `${offset} is not the offset of a sector`);
  }
  w.be64(offset + flags);
}
