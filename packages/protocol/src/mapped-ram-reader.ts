import type { ByteReader } from "./byte-reader.ts";
import type { Limits } from "./limits.ts";
import { hasMappedPage, mappedBitmapBytes } from "./mapped-ram.ts";
import type { MappedRamHeader } from "./mapped-ram.ts";
import { limitExceeded } from "./refusals.ts";
import { WIRE_PAGE_SIZE } from "./wire.ts";

/** The most that is read from a file at once. */
const READ_BYTES = 1024 * 1024;

/** Where the pages of a block go. */
export interface MappedPageSink {
  zeroPage(block: number, offset: number, fill: number): void;
  /** `bytes` is valid during the call only. */
  page(block: number, offset: number, bytes: Uint8Array): void;
}

interface MappedBlock {
  /** The block's index in the list. */
  readonly index: number;
  readonly length: number;
  readonly header: MappedRamHeader;
}

function requireBitmap(length: number, limits: Limits): number {
  const bytes = mappedBitmapBytes(length);
  if (bytes > limits.maxItemBytes) throw limitExceeded("bytes of bitmap", bytes, limits.maxItemBytes);
  return bytes;
}

/** Reads the bitmap and the pages of one block as the file goes by from its start to its end. */
export class MappedPagesDecoder {
  readonly #block: MappedBlock;
  readonly #sink: MappedPageSink;
  readonly #bitmapBytes: number;
  #bitmap: Uint8Array | undefined;
  /** Bytes in front of the next part. */
  #gap: number;
  #offset = 0;

  /** @param position offset in the file of the next byte. Errors: LIMIT_EXCEEDED. */
  constructor(block: MappedBlock, position: number, limits: Limits, sink: MappedPageSink) {
    this.#block = block;
    this.#sink = sink;
    this.#bitmapBytes = requireBitmap(block.length, limits);
    this.#gap = block.header.bitmapOffset - position;
  }

  get awaiting(): string {
    if (this.#gap > 0) return `${this.#gap} bytes of padding`;
    return this.#bitmap === undefined ? "the bitmap of a RAM block" : `a page of ${WIRE_PAGE_SIZE} bytes`;
  }

  /** @returns true when the block is complete. */
  decode(input: ByteReader): boolean {
    if (!this.#skipGap(input)) return false;
    if (this.#bitmap === undefined) {
      if (input.available < this.#bitmapBytes) return false;
      this.#bitmap = new Uint8Array(input.view(this.#bitmapBytes));
      const { bitmapOffset, pagesOffset } = this.#block.header;
      this.#gap = pagesOffset - (bitmapOffset + this.#bitmapBytes);
      if (!this.#skipGap(input)) return false;
    }
    return this.#pages(input, this.#bitmap);
  }

  #skipGap(input: ByteReader): boolean {
    while (this.#gap > 0 && input.available > 0) this.#gap -= input.some(this.#gap).length;
    return this.#gap === 0;
  }

  #pages(input: ByteReader, bitmap: Uint8Array): boolean {
    const { index, length } = this.#block;
    while (this.#offset < length) {
      if (input.available < WIRE_PAGE_SIZE) return false;
      const bytes = input.view(WIRE_PAGE_SIZE);
      if (hasMappedPage(bitmap, this.#offset / WIRE_PAGE_SIZE)) {
        this.#sink.page(index, this.#offset, bytes);
      } else {
        this.#sink.zeroPage(index, this.#offset, 0);
      }
      this.#offset += WIRE_PAGE_SIZE;
    }
    return true;
  }
}

/** Fills `target` from the file's bytes at `offset`. Errors: TRUNCATED when there are fewer. */
export type PositionedRead = (offset: number, target: Uint8Array) => Promise<void>;

/**
 * Reads the bitmap and the present pages of one block from a file that can be read at any place.
 * Runs of present pages are read together, up to 1 MiB at a time.
 *
 * Errors: LIMIT_EXCEEDED, and those of `read` and the sink.
 */
export async function readMappedBlock(
  block: MappedBlock,
  limits: Limits,
  sink: MappedPageSink,
  read: PositionedRead,
): Promise<void> {
  const { index, length, header } = block;
  const bitmap = new Uint8Array(requireBitmap(length, limits));
  await read(header.bitmapOffset, bitmap);
  const buffer = new Uint8Array(Math.min(READ_BYTES, length));
  let offset = 0;
  while (offset < length) {
    if (!hasMappedPage(bitmap, offset / WIRE_PAGE_SIZE)) {
      sink.zeroPage(index, offset, 0);
      offset += WIRE_PAGE_SIZE;
      continue;
    }
    const run = buffer.subarray(0, runBytes(bitmap, offset, Math.min(length, offset + READ_BYTES)));
    // One read after the other: the buffer is used again.
    await read(header.pagesOffset + offset, run);
    for (let at = 0; at < run.length; at += WIRE_PAGE_SIZE) {
      sink.page(index, offset + at, run.subarray(at, at + WIRE_PAGE_SIZE));
    }
    offset += run.length;
  }
}

/** Bytes of the present pages from `offset` on, up to `end`. */
function runBytes(bitmap: Uint8Array, offset: number, end: number): number {
  let at = offset;
  while (at < end && hasMappedPage(bitmap, at / WIRE_PAGE_SIZE)) at += WIRE_PAGE_SIZE;
  return at - offset;
}
