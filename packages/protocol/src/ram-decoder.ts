import type { ByteReader } from "./byte-reader.ts";
import { MigrationError } from "./errors.ts";
import { DeltaScratch } from "./kernels/delta-scratch.ts";
import type { Limits } from "./limits.ts";
import type { PayloadDecoder } from "./payload-decoder.ts";
import { isZeroRecord, MAX_KERNEL_RUN, runOffset } from "./kernels/page-kernel.ts";
import type { PageKernel } from "./kernels/page-kernel.ts";
import { PAGE_RECORD_BYTES, ZERO_RECORD_BYTES } from "./kernels/work-memory.ts";
import { RamBlockListDecoder } from "./ram-block-list.ts";
import type { ListedRamBlock, RamBlockListForm, RamBlockListSink } from "./ram-block-list.ts";
import {
  badDelta,
  illegalRamOffset,
  limitExceeded,
  noBlockToContinue,
  placeError,
  unknownRamBlock,
  unknownRamFlags,
} from "./refusals.ts";
import { MAX_COMPRESSED_PAGE_BYTES, RAM_FLAG, RAM_SECTION, WIRE_PAGE_SIZE } from "./wire.ts";
import { XBZRLE_ENCODING } from "./xbzrle.ts";

const FLAG_MASK = WIRE_PAGE_SIZE - 1;

/** How a page came that is not plain on the wire: a delta, or zlib. */
export type PageEncoding = "xbzrle" | "zlib";

/** Where decoded guest memory goes. Blocks are named by their index in the list. */
export interface RamSink extends RamBlockListSink {
  /** The list of blocks, before any page that is not in a mapped-ram file. Throws when the blocks do not fit the machine. */
  blockList(blocks: readonly ListedRamBlock[]): void;
  /** A page whose bytes are all `fill`. */
  zeroPage(block: number, offset: number, fill: number): void;
  /** A page. `bytes` is valid during the call only. */
  page(block: number, offset: number, bytes: Uint8Array): void;
  /** Pages that follow each other. `bytes` is valid during the call only. Without this method each is given to {@link page}. */
  pageRun?(block: number, offset: number, bytes: Uint8Array): void;
  /**
   * As {@link pageRun}, of pages that lie in the kernel's work memory as `count` records, the first at `at`.
   * @returns whether they were taken; otherwise {@link pageRun} is given them. Default: it is.
   */
  pageRecords?(block: number, offset: number, count: number, at: number): boolean;
  /** So many pages of zeros that follow each other. Without this method each is given to {@link zeroPage}. */
  zeroRun?(block: number, offset: number, count: number): void;
  /**
   * The bytes of a page as they are now, valid until the sink is called again. A delta is applied to a
   * copy of them, and the result is given to {@link page}. Without this method a delta that is to be
   * applied is refused.
   * @param into one page: a sink that has to copy the bytes anyway writes them there, and returns it.
   */
  presentPage?(block: number, offset: number, into: Uint8Array): Uint8Array;
  /**
   * A page that came encoded, before it is decoded. `data` is as on the wire, checked if it is a delta,
   * and valid during the call only.
   * @returns whether to decode it and go on with {@link page}. Default: true.
   */
  encodedPage?(block: number, offset: number, encoding: PageEncoding, data: Uint8Array): boolean;
  /**
   * Everything sent on the multifd channels so far has to be there before what follows here. Without
   * this method the record is refused. A sink that has to wait suspends the stream decoder too.
   * @returns whether the decoding goes on at once.
   */
  multifdFlush?(): boolean;
}

/**
 * Undoes zlib. Returns exactly `size` bytes, or throws; never makes more than that.
 */
export type InflatePage = (data: Uint8Array, size: number) => Uint8Array;

/** What section `ram` is decoded with. */
export interface RamDecoderOptions {
  readonly limits: Limits;
  readonly sink: RamSink;
  /** What the entries of the block list hold. Default: name and length. */
  readonly blockListForm?: RamBlockListForm;
  /** Offset in its file of the stream's first byte, for mapped-ram. Default: 0. */
  readonly fileOffset?: number;
  /**
   * Decodes runs of records at once where the chunks lie in its work memory, which it writes to. Without a sink for runs
   * it is not used.
   */
  readonly kernel?: PageKernel | undefined;
  /** For pages compressed one by one, as releases up to 9.0 could. Default: they are refused. */
  readonly inflate?: InflatePage;
}

/** What a page record holds behind its block name. */
type Body = "fill" | "page" | "delta-head" | "compressed-head";

/** What the next bytes are. */
type Next = Body | "word" | "block-list" | "block-name" | "delta" | "compressed";

const AWAITING: Record<Exclude<Next, "block-list">, string> = {
  word: "a RAM record",
  "block-name": "the name of a RAM block",
  fill: "the fill byte of a page",
  page: `a page of ${WIRE_PAGE_SIZE} bytes`,
  "delta-head": "the length of a delta",
  delta: "a delta",
  "compressed-head": "the length of a compressed page",
  compressed: "a compressed page",
};

/** A run is worth the kernel's call from two records on; fewer bytes hold no two pages, and few zero pages. */
const SMALLEST_RUN_BYTES = 2 * ZERO_RECORD_BYTES;
const DELTA_HEAD_BYTES = 3;
const COMPRESSED_HEAD_BYTES = 4;

/** Reads the payloads of `ram`. One instance per stream: START, PART and END all go through it. */
export class RamDecoder implements PayloadDecoder {
  readonly #sink: RamSink;
  readonly #inflate: InflatePage | undefined;
  readonly #list: RamBlockListDecoder;
  readonly #kernel: PageKernel | undefined;
  #next: Next = "word";
  /** Stream offset of the record being read. */
  #recordAt = 0;

  #block = -1;
  #blockLength = 0;
  #offset = 0;
  #body: Body = "page";
  /** Bytes of the encoded page being read. */
  #encodedBytes = 0;

  constructor(options: RamDecoderOptions) {
    const { limits, sink, blockListForm, fileOffset } = options;
    this.#sink = sink;
    this.#inflate = options.inflate;
    if (sink.pageRun !== undefined && sink.zeroRun !== undefined) this.#kernel = options.kernel;
    this.#list = new RamBlockListDecoder({
      limits,
      sink,
      form: blockListForm ?? {},
      fileOffset: fileOffset ?? 0,
    });
  }

  get awaiting(): string {
    return this.#next === "block-list" ? this.#list.awaiting : AWAITING[this.#next];
  }

  bytesToRecord(available: number): number | undefined {
    if (this.#next === "page") return WIRE_PAGE_SIZE - available;
    if (this.#next !== "word") return undefined;
    return available === 0 ? 0 : PAGE_RECORD_BYTES - available;
  }

  decode(input: ByteReader): boolean {
    for (;;) {
      switch (this.#next) {
        case "word":
          if (this.#kernel !== undefined && this.#run(this.#kernel, input)) break;
          if (input.available < 8) return false;
          switch (this.#word(input)) {
            case "go on":
              break;
            case "wait":
              return false;
            case "end":
              return true;
          }
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
        case "delta-head":
          if (input.available < DELTA_HEAD_BYTES) return false;
          this.#deltaHead(input.u8(), input.be16());
          break;
        case "delta":
          if (input.available < this.#encodedBytes) return false;
          this.#delta(input.view(this.#encodedBytes));
          this.#next = "word";
          break;
        case "compressed-head":
          if (input.available < COMPRESSED_HEAD_BYTES) return false;
          this.#compressedHead(input.be32());
          break;
        case "compressed":
          if (input.available < this.#encodedBytes) return false;
          this.#compressed(input.view(this.#encodedBytes));
          this.#next = "word";
          break;
        case "block-list":
          if (!this.#list.decode(input)) return false;
          this.#next = "word";
          this.#blockList();
          break;
      }
    }
  }

  /**
   * Decodes the run of records that comes next, if it is one that the kernel knows: everything unusual, and every fault,
   * is left to the decoding record by record.
   * @returns whether there was one.
   */
  #run(kernel: PageKernel, input: ByteReader): boolean {
    if (this.#block < 0 || input.contiguous < SMALLEST_RUN_BYTES) return false;
    const at = input.placeIn(kernel.bytes);
    if (at < 0) return false;
    const offset = runOffset(kernel.bytes, at);
    const most = Math.min((this.#blockLength - offset) / WIRE_PAGE_SIZE, MAX_KERNEL_RUN);
    if (offset < 0 || most <= 0) return false;
    const isZero = isZeroRecord(kernel.bytes, at);
    const count = kernel.countRun(at, at + input.contiguous, offset, most);
    if (count === 0) return false;
    if (isZero) {
      input.skip(count * ZERO_RECORD_BYTES);
      this.#sink.zeroRun?.(this.#block, offset, count);
      return true;
    }
    input.skip(count * PAGE_RECORD_BYTES);
    if (this.#sink.pageRecords?.(this.#block, offset, count, at) === true) return true;
    this.#sink.pageRun?.(this.#block, offset, kernel.gatherRun(at, count));
    return true;
  }

  #word(input: ByteReader): "go on" | "wait" | "end" {
    this.#recordAt = input.offset;
    const high = input.be32();
    const low = input.be32();
    const flags = low & FLAG_MASK;
    // A multiple of the page size below 2^64, so exact as a number.
    const offset = high * 2 ** 32 + (low - flags);
    const body = bodyOf(flags & ~RAM_FLAG.continue);
    if (body !== undefined) {
      this.#startRecord(offset, body, (flags & RAM_FLAG.continue) !== 0);
      return "go on";
    }
    switch (flags) {
      case RAM_FLAG.memSize:
        this.#list.start(offset, this.#recordAt);
        this.#next = "block-list";
        return "go on";
      case RAM_FLAG.endOfSection:
        if (offset !== 0) throw illegalRamOffset(offset, this.#place());
        return "end";
      case RAM_FLAG.multifdFlush:
        if (this.#sink.multifdFlush === undefined) break;
        if (offset !== 0) throw illegalRamOffset(offset, this.#place());
        return this.#sink.multifdFlush() ? "go on" : "wait";
      default:
        break;
    }
    throw unknownRamFlags(flags, this.#place());
  }

  #blockList(): void {
    try {
      this.#sink.blockList(this.#list.blocks);
    } catch (error) {
      throw placeError(error, this.#place());
    }
  }

  #startRecord(offset: number, body: Body, continued: boolean): void {
    this.#offset = offset;
    this.#body = body;
    if (!continued) {
      this.#next = "block-name";
      return;
    }
    if (this.#block < 0) throw noBlockToContinue(this.#place());
    this.#requireInBlock();
    this.#next = body;
  }

  #selectBlock(name: string): void {
    const index = this.#list.find(name);
    const block = index === undefined ? undefined : this.#list.blocks[index];
    if (index === undefined || block === undefined) throw unknownRamBlock(name, this.#place());
    this.#block = index;
    this.#blockLength = block.length;
    this.#requireInBlock();
    this.#next = this.#body;
  }

  #requireInBlock(): void {
    if (this.#offset >= this.#blockLength) throw illegalRamOffset(this.#offset, this.#place());
  }

  #deltaHead(encoding: number, length: number): void {
    if (encoding !== XBZRLE_ENCODING) throw badDelta("wrong compression", this.#place());
    if (length > WIRE_PAGE_SIZE) throw badDelta("len overflow", this.#place());
    this.#encodedBytes = length;
    this.#next = "delta";
  }

  #delta(delta: Uint8Array): void {
    const sink = this.#sink;
    const scratch = DeltaScratch.ofThread;
    if (!scratch.take(delta)) throw badDelta("decode error", this.#place());
    if (sink.encodedPage?.(this.#block, this.#offset, "xbzrle", delta) === false) return;
    if (sink.presentPage === undefined) throw unknownRamFlags(RAM_FLAG.xbzrle, this.#place());
    const { page } = scratch;
    const present = sink.presentPage(this.#block, this.#offset, page);
    if (present !== page) page.set(present);
    scratch.apply(delta.length);
    sink.page(this.#block, this.#offset, page);
  }

  #compressedHead(length: number): void {
    if (length > MAX_COMPRESSED_PAGE_BYTES) {
      throw limitExceeded("bytes of a compressed page", length, MAX_COMPRESSED_PAGE_BYTES, this.#place());
    }
    this.#encodedBytes = length;
    this.#next = "compressed";
  }

  #compressed(data: Uint8Array): void {
    if (this.#sink.encodedPage?.(this.#block, this.#offset, "zlib", data) === false) return;
    const inflate = this.#inflate;
    if (inflate === undefined) throw unknownRamFlags(RAM_FLAG.compressedPage, this.#place());
    this.#sink.page(this.#block, this.#offset, this.#inflated(inflate, data));
  }

  #inflated(inflate: InflatePage, data: Uint8Array): Uint8Array {
    let cause: unknown;
    try {
      const page = inflate(data, WIRE_PAGE_SIZE);
      if (page.length === WIRE_PAGE_SIZE) return page;
    } catch (error) {
      cause = error;
    }
    throw new MigrationError(
      "BAD_RAM_PAGE",
      `A compressed page cannot be decompressed to ${WIRE_PAGE_SIZE} bytes`,
      { ...this.#place(), cause },
    );
  }

  #place(): { offset: number; section: string } {
    return { offset: this.#recordAt, section: RAM_SECTION.name };
  }
}

/** What a page record with this flag holds; undefined for every other record. */
function bodyOf(flag: number): Body | undefined {
  switch (flag) {
    case RAM_FLAG.page:
      return "page";
    case RAM_FLAG.zero:
      return "fill";
    case RAM_FLAG.xbzrle:
      return "delta-head";
    case RAM_FLAG.compressedPage:
      return "compressed-head";
    default:
      return undefined;
  }
}
