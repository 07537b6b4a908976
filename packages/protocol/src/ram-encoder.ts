import type { ByteWriter } from "./byte-writer.ts";
import { MigrationError } from "./errors.ts";
import type { RamBlockEntry } from "./messages.ts";
import { encodeUtf8 } from "./utf8.ts";
import { RAM_FLAG, WIRE_PAGE_SIZE } from "./wire.ts";

const WORD_BYTES = 8;

/** The largest record: the word, a counted name of 255 bytes, a page. */
export const MAX_RAM_RECORD_BYTES = WORD_BYTES + 1 + 255 + WIRE_PAGE_SIZE;

/**
 * The list of RAM blocks, which opens the payload of `ram` START: the total with MEM_SIZE, then name
 * and used length of each block. An end-of-section record follows it.
 */
export function encodeRamBlockList(w: ByteWriter, blocks: readonly RamBlockEntry[]): void {
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
  for (const { name, length } of blocks) {
    w.counted(name);
    w.be64(length);
  }
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

  /** The record of a page that is filled with zeros. */
  putZeroPage(target: Uint8Array, at: number, block: string, offset: number): number {
    const fillAt = this.#putHeader(target, at, block, offset, RAM_FLAG.zero);
    target[fillAt] = 0;
    return fillAt + 1;
  }

  /** The record that ends the payload of every `ram` section. */
  putEndOfSection(target: Uint8Array, at: number): number {
    return putWord(target, at, 0, RAM_FLAG.endOfSection);
  }

  page(w: ByteWriter, block: string, offset: number, bytes: Uint8Array): void {
    w.advance(this.putPage(w.room(MAX_RAM_RECORD_BYTES), w.length, block, offset, bytes));
  }

  zeroPage(w: ByteWriter, block: string, offset: number): void {
    w.advance(this.putZeroPage(w.room(MAX_RAM_RECORD_BYTES), w.length, block, offset));
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
