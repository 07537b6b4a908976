import type { ByteReader } from "./byte-reader.ts";
import { MigrationError } from "./errors.ts";
import type { Limits } from "./limits.ts";
import type { RamBlockEntry } from "./messages.ts";
import type { PayloadDecoder } from "./payload-decoder.ts";
import {
  illegalRamOffset,
  limitExceeded,
  noBlockToContinue,
  unknownRamBlock,
  unknownRamFlags,
} from "./refusals.ts";
import { RAM_FLAG, RAM_SECTION, WIRE_PAGE_SIZE } from "./wire.ts";

const FLAG_MASK = WIRE_PAGE_SIZE - 1;

/** Where decoded guest memory goes. Blocks are named by their index in the list. */
export interface RamSink {
  /** The list of blocks, before any page. Throws when the blocks do not fit the machine. */
  blockList(blocks: readonly RamBlockEntry[]): void;
  /** A page whose bytes are all `fill`. */
  zeroPage(block: number, offset: number, fill: number): void;
  /** A page. `bytes` is valid during the call only. */
  page(block: number, offset: number, bytes: Uint8Array): void;
}

/** What the next bytes are. */
type Next = "word" | "list-entry" | "block-name" | "fill" | "page";

const AWAITING: Record<Next, string> = {
  word: "a RAM record",
  "list-entry": "an entry of the RAM block list",
  "block-name": "the name of a RAM block",
  fill: "the fill byte of a page",
  page: `a page of ${WIRE_PAGE_SIZE} bytes`,
};

/** Reads the payloads of `ram`. One instance per stream: START, PART and END all go through it. */
export class RamDecoder implements PayloadDecoder {
  readonly #limits: Limits;
  readonly #sink: RamSink;
  #next: Next = "word";
  /** Stream offset of the record being read. */
  #recordAt = 0;

  #blocks: RamBlockEntry[] = [];
  readonly #indexByName = new Map<string, number>();
  #listed = false;
  /** Bytes of the announced total that the entries read so far leave. */
  #unlisted = 0;

  #block = -1;
  #blockLength = 0;
  #offset = 0;
  /** What the record holds behind its block name. */
  #body: "fill" | "page" = "page";

  constructor(options: { readonly limits: Limits; readonly sink: RamSink }) {
    this.#limits = options.limits;
    this.#sink = options.sink;
  }

  get awaiting(): string {
    return AWAITING[this.#next];
  }

  decode(input: ByteReader): boolean {
    for (;;) {
      switch (this.#next) {
        case "word":
          if (input.available < 8) return false;
          if (this.#word(input)) return true;
          break;
        case "page":
          if (input.available < WIRE_PAGE_SIZE) return false;
          this.#sink.page(this.#block, this.#offset, input.view(WIRE_PAGE_SIZE));
          this.#next = "word";
          break;
        case "fill":
          if (input.available < 1) return false;
          this.#sink.zeroPage(this.#block, this.#offset, input.u8());
          this.#next = "word";
          break;
        case "block-name":
          if (!input.hasCounted()) return false;
          this.#selectBlock(input.counted("the name of a RAM block"));
          break;
        case "list-entry":
          if (!input.hasCounted(8)) return false;
          this.#listEntry(input);
          break;
      }
    }
  }

  /** @returns true at the end of the payload. */
  #word(input: ByteReader): boolean {
    this.#recordAt = input.offset;
    const high = input.be32();
    const low = input.be32();
    const flags = low & FLAG_MASK;
    // A multiple of the page size below 2^64, so exact as a number.
    const offset = high * 2 ** 32 + (low - flags);
    switch (flags) {
      case RAM_FLAG.page | RAM_FLAG.continue:
        this.#continueBlock(offset, "page");
        return false;
      case RAM_FLAG.zero | RAM_FLAG.continue:
        this.#continueBlock(offset, "fill");
        return false;
      case RAM_FLAG.page:
        this.#startRecord(offset, "page");
        return false;
      case RAM_FLAG.zero:
        this.#startRecord(offset, "fill");
        return false;
      case RAM_FLAG.memSize:
        this.#startList(offset);
        return false;
      case RAM_FLAG.endOfSection:
        if (offset !== 0) throw illegalRamOffset(offset, this.#place());
        return true;
      default:
        throw unknownRamFlags(flags, this.#place());
    }
  }

  #startRecord(offset: number, body: "fill" | "page"): void {
    this.#offset = offset;
    this.#body = body;
    this.#next = "block-name";
  }

  #selectBlock(name: string): void {
    const index = this.#indexByName.get(name);
    const block = index === undefined ? undefined : this.#blocks[index];
    if (index === undefined || block === undefined) throw unknownRamBlock(name, this.#place());
    this.#block = index;
    this.#blockLength = block.length;
    this.#requireInBlock();
    this.#next = this.#body;
  }

  #continueBlock(offset: number, body: "fill" | "page"): void {
    if (this.#block < 0) throw noBlockToContinue(this.#place());
    this.#offset = offset;
    this.#requireInBlock();
    this.#next = body;
  }

  #requireInBlock(): void {
    if (this.#offset >= this.#blockLength) throw illegalRamOffset(this.#offset, this.#place());
  }

  #startList(total: number): void {
    if (this.#listed) {
      throw new MigrationError("BAD_RAM_BLOCK", "The RAM block list came twice", this.#place());
    }
    if (total > this.#limits.maxRamBytes) {
      throw limitExceeded("bytes of RAM", total, this.#limits.maxRamBytes, this.#place());
    }
    this.#listed = true;
    this.#unlisted = total;
    this.#next = "list-entry";
    this.#endListWhenComplete();
  }

  #listEntry(input: ByteReader): void {
    this.#recordAt = input.offset;
    const name = input.counted("the name of a RAM block");
    const length = input.be64();
    if (this.#blocks.length >= this.#limits.maxRamBlocks) {
      throw limitExceeded("RAM blocks", this.#blocks.length + 1, this.#limits.maxRamBlocks, this.#place());
    }
    if (length % WIRE_PAGE_SIZE !== 0) {
      throw this.#badBlock(name, `its length 0x${length.toString(16)} is not a multiple of the page size`);
    }
    if (length > this.#unlisted) {
      throw this.#badBlock(name, `its length 0x${length.toString(16)} goes beyond the total of the list`);
    }
    if (this.#indexByName.has(name)) throw this.#badBlock(name, "it is in the list twice");
    this.#indexByName.set(name, this.#blocks.length);
    this.#blocks.push({ name, length });
    this.#unlisted -= length;
    this.#endListWhenComplete();
  }

  #endListWhenComplete(): void {
    if (this.#unlisted > 0) return;
    this.#next = "word";
    this.#sink.blockList(this.#blocks);
  }

  #badBlock(name: string, why: string): MigrationError {
    return new MigrationError(
      "BAD_RAM_BLOCK",
      `RAM block '${name}' cannot be accepted: ${why}`,
      this.#place(),
    );
  }

  #place(): { offset: number; section: string } {
    return { offset: this.#recordAt, section: RAM_SECTION.name };
  }
}
