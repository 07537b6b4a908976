import { BLOCK_CHUNK_BYTES, BLOCK_FLAG, BLOCK_SECTION, BLOCK_SECTOR_BYTES } from "./block-wire.ts";
import type { ByteReader } from "./byte-reader.ts";
import { MigrationError } from "./errors.ts";
import type { PayloadDecoder } from "./payload-decoder.ts";

/** Where decoded disks go. Offsets in bytes. */
export interface BlockSink {
  /** {@link BLOCK_CHUNK_BYTES} of a disk; what lies behind the disk's end means nothing. Valid during the call only. */
  chunk(disk: string, offset: number, bytes: Uint8Array): void;
  /** A chunk of zeros. */
  zeroChunk(disk: string, offset: number): void;
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
          this.#diskName(next, input.counted("the name of a disk"));
          break;
        case "chunk":
          if (input.available < BLOCK_CHUNK_BYTES) return false;
          this.#sink.chunk(next.disk, next.offset, input.view(BLOCK_CHUNK_BYTES));
          this.#next = { item: "word" };
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

  #diskName({ offset, zero }: { readonly offset: number; readonly zero: boolean }, disk: string): void {
    if (!zero) {
      this.#next = { item: "chunk", offset, disk };
      return;
    }
    this.#sink.zeroChunk(disk, offset);
    this.#next = { item: "word" };
  }
}
