import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { MigrationError } from "./errors.ts";
import type { MigrationErrorDetail } from "./errors.ts";
import { WIRE_PAGE_SIZE } from "./wire.ts";

/**
 * A mapped-ram file has a fixed place for every page, so that a page sent again takes no more room.
 * Behind each entry of the RAM block list comes a header, then a bitmap of the pages that are present,
 * then the pages, then the next entry. A page without a bit is zero, whatever lies in its place.
 *
 * Offsets count from the start of the file, not of the stream in it.
 */

export const MAPPED_RAM_HEADER_BYTES = 28;
const MAPPED_RAM_VERSION = 1;
/** The pages of a block begin at a multiple of this, in bytes. */
const PAGES_ALIGNMENT = 0x10_0000;
/** The bitmap is written in words of 64 bits. */
const BITMAP_WORD_BYTES = 8;

/** Where a block's bitmap and pages lie in the file. Both offsets are 0 for a block that is not in it. */
export interface MappedRamHeader {
  readonly pageSize: number;
  readonly bitmapOffset: number;
  readonly pagesOffset: number;
}

/** Bytes of the bitmap for a block of `length` bytes. */
export function mappedBitmapBytes(length: number): number {
  const pages = Math.ceil(length / WIRE_PAGE_SIZE);
  return Math.ceil(pages / (8 * BITMAP_WORD_BYTES)) * BITMAP_WORD_BYTES;
}

/** Whether the page with this number is present. Words are little-endian: bit n is bit n % 8 of byte n / 8. */
export function hasMappedPage(bitmap: Uint8Array, page: number): boolean {
  return ((bitmap[page >>> 3] ?? 0) & (1 << (page & 7))) !== 0;
}

/** Notes whether the page with this number is present. */
export function setMappedPage(bitmap: Uint8Array, page: number, present: boolean): void {
  const byte = bitmap[page >>> 3] ?? 0;
  const bit = 1 << (page & 7);
  bitmap[page >>> 3] = present ? byte | bit : byte & ~bit;
}

/** Where the parts of one block go. The next entry of the list begins at `end`. */
export interface MappedRamPlacement {
  readonly header: MappedRamHeader;
  /** Offset of the first byte behind the pages. */
  readonly end: number;
}

/**
 * Places a block.
 *
 * @param headerOffset where in the file its header goes: right behind the rest of its entry.
 * @param length bytes of the block.
 */
export function placeMappedBlock(headerOffset: number, length: number): MappedRamPlacement {
  const bitmapOffset = headerOffset + MAPPED_RAM_HEADER_BYTES;
  const bitmapEnd = bitmapOffset + mappedBitmapBytes(length);
  const pagesOffset = Math.ceil(bitmapEnd / PAGES_ALIGNMENT) * PAGES_ALIGNMENT;
  return { header: { pageSize: WIRE_PAGE_SIZE, bitmapOffset, pagesOffset }, end: pagesOffset + length };
}

export function encodeMappedRamHeader(w: ByteWriter, header: MappedRamHeader): void {
  w.be32(MAPPED_RAM_VERSION);
  w.be64(header.pageSize);
  w.be64(header.bitmapOffset);
  w.be64(header.pagesOffset);
}

/**
 * Reads a header; {@link MAPPED_RAM_HEADER_BYTES} are on hand.
 *
 * @param end offset in the file of the first byte behind the header.
 * @param block what the entry says so far.
 * @param place where the entry is, for errors.
 *
 * Errors: BAD_RAM_BLOCK when the header is of another version or page size, or its parts overlap.
 */
export function decodeMappedRamHeader(
  input: ByteReader,
  end: number,
  block: { readonly name: string; readonly length: number },
  place?: MigrationErrorDetail,
): MappedRamHeader {
  const bad = (why: string): MigrationError =>
    new MigrationError("BAD_RAM_BLOCK", `RAM block '${block.name}' cannot be accepted: ${why}`, place);
  const version = input.be32();
  if (version !== MAPPED_RAM_VERSION) {
    throw bad(`its mapped-ram header has version ${version}, not ${MAPPED_RAM_VERSION}`);
  }
  const header = { pageSize: input.be64(), bitmapOffset: input.be64(), pagesOffset: input.be64() };
  if (header.pageSize !== WIRE_PAGE_SIZE) {
    throw bad(`its pages have ${header.pageSize} bytes, not ${WIRE_PAGE_SIZE}`);
  }
  if (!isMapped(header)) return header;
  const bitmapEnd = header.bitmapOffset + mappedBitmapBytes(block.length);
  if (header.bitmapOffset < end || header.pagesOffset < bitmapEnd) {
    throw bad(
      `its bitmap at 0x${header.bitmapOffset.toString(16)} and its pages at ` +
        `0x${header.pagesOffset.toString(16)} overlap each other or what comes before them`,
    );
  }
  return header;
}

/** Whether the block's pages are in the file. */
export function isMapped(header: MappedRamHeader): boolean {
  return header.bitmapOffset !== 0 || header.pagesOffset !== 0;
}
