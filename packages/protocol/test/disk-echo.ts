import {
  BLOCK_CHUNK_BYTES,
  BLOCK_SECTION,
  BlockDecoder,
  encodeBlockChunk,
  encodeBlockEnd,
  encodeBlockProgress,
  encodeZeroBlockChunk,
} from "../src/index.ts";
import type { BlockSink, ByteWriter, PayloadDecoder, SectionHeader } from "../src/index.ts";
import { WholeEcho } from "./whole-echo.ts";

/** Encodes the records of a disk again, and keeps its contents. */
export class DiskAgain implements BlockSink {
  readonly w: ByteWriter;
  readonly offsets: number[] = [];
  readonly percents: number[] = [];
  readonly disk = new Uint8Array(8 * BLOCK_CHUNK_BYTES);

  constructor(w: ByteWriter) {
    this.w = w;
  }

  chunk(disk: string, offset: number, bytes: Uint8Array): boolean {
    this.offsets.push(offset);
    this.disk.set(bytes, offset);
    encodeBlockChunk(this.w, disk, offset, bytes);
    return true;
  }

  zeroChunk(disk: string, offset: number): boolean {
    this.offsets.push(offset);
    this.disk.fill(0, offset, offset + BLOCK_CHUNK_BYTES);
    encodeZeroBlockChunk(this.w, disk, offset);
    return true;
  }

  progress(percent: number): void {
    this.percents.push(percent);
    encodeBlockProgress(this.w, percent);
  }
}

/** A stream that carries a disk too. */
export class DiskEcho extends WholeEcho {
  readonly disk = new DiskAgain(this.w);
  readonly #blocks = new BlockDecoder(this.disk);

  protected override live(header: SectionHeader): PayloadDecoder {
    return header.name === BLOCK_SECTION.name ? this.#blocks : super.live(header);
  }

  override close(header: SectionHeader): void {
    if (header.name === BLOCK_SECTION.name) encodeBlockEnd(this.w);
    super.close(header);
  }
}
