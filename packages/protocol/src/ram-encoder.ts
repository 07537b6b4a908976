import type { ByteWriter } from "./byte-writer.ts";
import { MigrationError } from "./errors.ts";
import type { GuestPages, PageKernel, PageSource, PlaceCursor } from "./kernels/page-kernel.ts";
import { encodeMappedRamHeader } from "./mapped-ram.ts";
import type { RamBlockEntry } from "./messages.ts";
import type { ListedRamBlock } from "./ram-block-list.ts";
import { encodeUtf8 } from "./utf8.ts";
import { MAX_COMPRESSED_PAGE_BYTES, RAM_FLAG, WIRE_PAGE_SIZE } from "./wire.ts";
import { XBZRLE_ENCODING } from "./xbzrle.ts";

const WORD_BYTES = 8;

/** The largest record: the word, a counted name of 255 bytes, the length and the bytes of a compressed page. */
export const MAX_RAM_RECORD_BYTES = WORD_BYTES + 1 + 255 + 4 + MAX_COMPRESSED_PAGE_BYTES;

/**
 * The list of RAM blocks, which opens the payload of `ram` START: the total with MEM_SIZE, then an entry
 * for each block. An end-of-section record follows it. The list of a mapped-ram file has pages between
 * its entries: write it with {@link encodeRamTotal} and {@link encodeRamBlockEntry}.
 */
export function encodeRamBlockList(w: ByteWriter, blocks: readonly ListedRamBlock[]): void {
  if (blocks.some(({ mapped }) => mapped !== undefined)) {
    throw new MigrationError("INTERNAL", "the entries of a mapped-ram file do not follow each other");
  }
  encodeRamTotal(w, blocks);
  for (const block of blocks) encodeRamBlockEntry(w, block);
}

/** The bytes of all blocks, which open their list. */
export function encodeRamTotal(w: ByteWriter, blocks: readonly RamBlockEntry[]): void {
  let total = 0;
  for (const { name, length } of blocks) {
    if (length % WIRE_PAGE_SIZE !== 0) {
      throw new MigrationError(
        "INTERNAL",
        `RAM block '${name}' has ${length} bytes, which are not whole pages`,
      );
    }
    total += length;
  }
  if (blocks.at(-1)?.length === 0) {
    // A receiver stops reading the list when the total is reached.
    throw new MigrationError("INTERNAL", "the last RAM block of the list may not be empty");
  }
  w.be64(total + RAM_FLAG.memSize);
}

/** Name and used length of a block, and what else the entry has. */
export function encodeRamBlockEntry(w: ByteWriter, block: ListedRamBlock): void {
  w.counted(block.name);
  w.be64(block.length);
  if (block.pageSize !== undefined) w.be64(block.pageSize);
  if (block.address !== undefined) w.be64(block.address);
  if (block.mapped !== undefined) encodeMappedRamHeader(w, block.mapped);
}

/**
 * Writes page records and keeps the one thing they depend on: the block of the record before, which
 * need not be named again. One instance per stream, because that carries over from section to section.
 *
 * The `put` methods write at index `at` of a caller's buffer, which must have room for
 * {@link MAX_RAM_RECORD_BYTES}, and return the index behind the record.
 */
export class RamPageEncoder {
  readonly #names = new Map<string, Uint8Array>();
  #lastBlock: string | undefined;

  /** Bytes that come before the page in the next page record of this block. */
  headerBytes(block: string): number {
    return block === this.#lastBlock ? WORD_BYTES : WORD_BYTES + 1 + this.#name(block).length;
  }

  /** The start of a page record. The caller puts the page itself behind it. */
  putPageHeader(target: Uint8Array, at: number, block: string, offset: number): number {
    return this.#putHeader(target, at, block, offset, RAM_FLAG.page);
  }

  /** A page record. `bytes` is one page. */
  putPage(target: Uint8Array, at: number, block: string, offset: number, bytes: Uint8Array): number {
    if (bytes.length !== WIRE_PAGE_SIZE) {
      throw new MigrationError("INTERNAL", `a page has ${WIRE_PAGE_SIZE} bytes, not ${bytes.length}`);
    }
    const pageAt = this.putPageHeader(target, at, block, offset);
    target.set(bytes, pageAt);
    return pageAt + WIRE_PAGE_SIZE;
  }

  /** The record of a page that is filled with one byte: since 2013, zero. */
  putZeroPage(target: Uint8Array, at: number, block: string, offset: number, fill = 0): number {
    const fillAt = this.#putHeader(target, at, block, offset, RAM_FLAG.zero);
    target[fillAt] = fill;
    return fillAt + 1;
  }

  /**
   * The records of pages that follow each other in a block and in memory, those with only zeros as such.
   *
   * @param page where the first is, as for `PageSource.encodeRun`.
   * @param offset of the first page in its block.
   * @param at where to write in the kernel's work memory, which must have room for `runBytes` of the pages.
   * @param pages where they are. Default: in the work memory.
   * @returns the index behind the last record. How many pages have only zeros is in the kernel's `zeroCount`.
   */
  putRun(
    kernel: PageKernel,
    page: number,
    count: number,
    block: string,
    offset: number,
    at: number,
    pages: PageSource = kernel,
  ): number {
    const named = this.#named(kernel, block);
    const end = pages.encodeRun(page, count, offset, named, at);
    if (count > 0) this.#lastBlock = block;
    return end;
  }

  /**
   * As {@link putRun}, but of a page only its head is put into its record. What is behind it is to be taken from the
   * guest's memory when the records are written; see `GuestPages.encodeHeads`.
   */
  putHeads(
    kernel: PageKernel,
    page: number,
    count: number,
    block: string,
    offset: number,
    at: number,
    pages: GuestPages,
    places: PlaceCursor,
  ): number {
    const named = this.#named(kernel, block);
    const end = pages.encodeHeads(page, count, offset, named, at, places);
    if (count > 0) this.#lastBlock = block;
    return end;
  }

  /**
   * The records of the pages that have only zeros, up to the first one that has not, of at most MAX_ZERO_RUN. As {@link putRun}
   * otherwise: how many they are is in the kernel's `zeroCount`.
   * @param at where to write in the kernel's work memory, which must have room for as many records of zeros, and a name.
   */
  putZeros(
    kernel: PageKernel,
    page: number,
    count: number,
    block: string,
    offset: number,
    at: number,
    pages: GuestPages,
  ): number {
    const named = this.#named(kernel, block);
    const end = pages.encodeZeros(page, count, offset, named, at);
    if (kernel.zeroCount > 0) this.#lastBlock = block;
    return end;
  }

  /** The record of a page as an XBZRLE delta. */
  putDelta(target: Uint8Array, at: number, block: string, offset: number, delta: Uint8Array): number {
    if (delta.length === 0 || delta.length > WIRE_PAGE_SIZE) {
      throw new MigrationError("INTERNAL", `a delta of ${delta.length} bytes cannot be sent`);
    }
    const headAt = this.#putHeader(target, at, block, offset, RAM_FLAG.xbzrle);
    target[headAt] = XBZRLE_ENCODING;
    target[headAt + 1] = delta.length >>> 8;
    target[headAt + 2] = delta.length;
    target.set(delta, headAt + 3);
    return headAt + 3 + delta.length;
  }

  /** The record of a page compressed with zlib, which releases up to 9.0 understand. */
  putCompressedPage(target: Uint8Array, at: number, block: string, offset: number, data: Uint8Array): number {
    if (data.length > MAX_COMPRESSED_PAGE_BYTES) {
      throw new MigrationError("INTERNAL", `a compressed page of ${data.length} bytes cannot be sent`);
    }
    const headAt = this.#putHeader(target, at, block, offset, RAM_FLAG.compressedPage);
    target[headAt] = 0;
    target[headAt + 1] = 0;
    target[headAt + 2] = data.length >>> 8;
    target[headAt + 3] = data.length;
    target.set(data, headAt + 4);
    return headAt + 4 + data.length;
  }

  /** The record after which everything sent on the multifd channels has to be there. */
  putMultifdFlush(target: Uint8Array, at: number): number {
    return putWord(target, at, 0, RAM_FLAG.multifdFlush);
  }

  /** The record that ends the payload of every `ram` section. */
  putEndOfSection(target: Uint8Array, at: number): number {
    return putWord(target, at, 0, RAM_FLAG.endOfSection);
  }

  page(w: ByteWriter, block: string, offset: number, bytes: Uint8Array): void {
    w.advance(this.putPage(w.room(MAX_RAM_RECORD_BYTES), w.length, block, offset, bytes));
  }

  zeroPage(w: ByteWriter, block: string, offset: number, fill = 0): void {
    w.advance(this.putZeroPage(w.room(MAX_RAM_RECORD_BYTES), w.length, block, offset, fill));
  }

  delta(w: ByteWriter, block: string, offset: number, delta: Uint8Array): void {
    w.advance(this.putDelta(w.room(MAX_RAM_RECORD_BYTES), w.length, block, offset, delta));
  }

  compressedPage(w: ByteWriter, block: string, offset: number, data: Uint8Array): void {
    w.advance(this.putCompressedPage(w.room(MAX_RAM_RECORD_BYTES), w.length, block, offset, data));
  }

  multifdFlush(w: ByteWriter): void {
    w.advance(this.putMultifdFlush(w.room(WORD_BYTES), w.length));
  }

  endOfSection(w: ByteWriter): void {
    w.advance(this.putEndOfSection(w.room(WORD_BYTES), w.length));
  }

  #putHeader(target: Uint8Array, at: number, block: string, offset: number, flag: number): number {
    if (block === this.#lastBlock) return putWord(target, at, offset, flag | RAM_FLAG.continue);
    const name = this.#name(block);
    const nameAt = putWord(target, at, offset, flag);
    target[nameAt] = name.length;
    target.set(name, nameAt + 1);
    this.#lastBlock = block;
    return nameAt + 1 + name.length;
  }

  /** Whether the next record has to name the block, which the kernel knows then. */
  #named(kernel: PageKernel, block: string): boolean {
    const named = block !== this.#lastBlock;
    if (named) kernel.setBlockName(this.#name(block));
    return named;
  }

  #name(block: string): Uint8Array {
    const known = this.#names.get(block);
    if (known !== undefined) return known;
    const name = encodeUtf8(block);
    if (name.length > 255) {
      throw new MigrationError("INTERNAL", `the block name '${block}' is longer than the 255 bytes that fit`);
    }
    this.#names.set(block, name);
    return name;
  }
}

/** Offset and flags as one big-endian 64-bit word. */
function putWord(target: Uint8Array, at: number, offset: number, flags: number): number {
  if (offset % WIRE_PAGE_SIZE !== 0 || !Number.isSafeInteger(offset) || offset < 0) {
    throw new MigrationError("INTERNAL", `${offset} is not the offset of a page`);
  }
  if (at + WORD_BYTES > target.length) {
    throw new MigrationError("INTERNAL", "the buffer has no room for a page record");
  }
  const high = Math.floor(offset / 2 ** 32);
  const low = (offset % 2 ** 32) + flags;
  target[at] = high >>> 24;
  target[at + 1] = high >>> 16;
  target[at + 2] = high >>> 8;
  target[at + 3] = high;
  target[at + 4] = low >>> 24;
  target[at + 5] = low >>> 16;
  target[at + 6] = low >>> 8;
  target[at + 7] = low;
  return at + WORD_BYTES;
}
