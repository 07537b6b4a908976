import { BLOCK_CHUNK_BYTES, BLOCK_FLAG, BLOCK_SECTION, BLOCK_SECTOR_BYTES } from "./block-wire.ts";
import type { ByteReader } from "./byte-reader.ts";
import { MigrationError } from "./errors.ts";
import type { PayloadDecoder } from "./payload-decoder.ts";

/** Where decoded disks go. Offsets in bytes. */
export interface BlockSink {
  /**
   * {@link BLOCK_CHUNK_BYTES} of a disk; what lies behind the disk's end means nothing. Valid during the call only.
   * @returns whether decoding goes on at once; if not, the stream decoder has to be suspended.
   */
  chunk(disk: string, offset: number, bytes: Uint8Array): boolean;
  /** A chunk of zeros. @returns as {@link chunk} does. */
  zeroChunk(disk: string, offset: number): boolean;
  /** How much of the first pass is sent, in percent. */
  progress(percent: number): void;
}

type Next =
  | { readonly item: "word" }
  | { readonly item: "disk-name"; readonly offset: number; readonly zero: boolean }
  | { readonly item: "chunk"; readonly offset: number; readonly disk: string };

const AWAITING: Record<Next["item"], string> = {
  word: "a record of a disk",
  "disk-name": "the name of a disk",
  chunk: `a chunk of ${BLOCK_CHUNK_BYTES} bytes`,
};

/** Reads the payloads of `block`. One instance per stream: START, PART and END all go through it. */
export class BlockDecoder implements PayloadDecoder {
  readonly #sink: BlockSink;
  #next: Next = { item: "word" };

  constructor(sink: BlockSink) {
    this.#sink = sink;
  }

  get awaiting(): string {
    return AWAITING[this.#next.item];
  }

  decode(input: ByteReader): boolean {
    for (;;) {
      const next = this.#next;
      switch (next.item) {
        case "word":
          if (input.available < 8) return false;
          if (this.#word(input)) return true;
          break;
        case "disk-name":
          if (!input.hasCounted()) return false;
          if (!this.#diskName(next, input.counted("the name of a disk"))) return false;
          break;
        case "chunk":
          if (input.available < BLOCK_CHUNK_BYTES) return false;
          this.#next = { item: "word" };
          if (!this.#sink.chunk(next.disk, next.offset, input.view(BLOCK_CHUNK_BYTES))) return false;
          break;
      }
    }
  }

  /** @returns true at the end of the payload. */
  #word(input: ByteReader): boolean {
    const at = input.offset;
    const word = input.be64();
    const flags = word % BLOCK_SECTOR_BYTES;
    const offset = word - flags;
    switch (flags) {
      case BLOCK_FLAG.deviceBlock:
        this.#next = { item: "disk-name", offset, zero: false };
        return false;
      case BLOCK_FLAG.deviceBlock + BLOCK_FLAG.zero:
        this.#next = { item: "disk-name", offset, zero: true };
        return false;
      case BLOCK_FLAG.progress:
        this.#sink.progress(offset / BLOCK_SECTOR_BYTES);
        return false;
      case BLOCK_FLAG.endOfSection:
        return true;
      default:
        throw new MigrationError("BAD_SECTION", `Unknown block migration flags: 0x${flags.toString(16)}`, {
          offset: at,
          section: BLOCK_SECTION.name,
        });
    }
  }

  /** @returns whether decoding goes on. */
  #diskName({ offset, zero }: { readonly offset: number; readonly zero: boolean }, disk: string): boolean {
    this.#next = zero ? { item: "word" } : { item: "chunk", offset, disk };
    return zero ? this.#sink.zeroChunk(disk, offset) : true;
  }
}
