import { encodeRamBlockEntry, MAPPED_RAM_HEADER_BYTES, mappedBitmapBytes } from "../src/index.ts";
import type { ByteWriter } from "../src/index.ts";

export const PAGE = 4096;

/**
 * Writes a block of a mapped-ram file. Its pages begin at a multiple of their size instead of one of a MiB, so that
 * the file is small.
 */
export function writeMappedBlock(
  w: ByteWriter,
  block: { readonly name: string; readonly length: number },
  bitmap: Uint8Array,
  pages: Uint8Array,
): void {
  const bitmapOffset = w.length + 1 + block.name.length + 8 + MAPPED_RAM_HEADER_BYTES;
  const bitmapBytes = mappedBitmapBytes(block.length);
  const pagesOffset = Math.ceil((bitmapOffset + bitmapBytes) / PAGE) * PAGE;
  encodeRamBlockEntry(w, { ...block, mapped: { pageSize: PAGE, bitmapOffset, pagesOffset } });
  w.bytes(bitmap.subarray(0, bitmapBytes));
  w.bytes(new Uint8Array(pagesOffset - w.length));
  w.bytes(pages);
}
