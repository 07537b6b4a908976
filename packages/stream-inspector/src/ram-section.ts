import { RamDecoder, WIRE_PAGE_SIZE } from "@peregrine/protocol";
import type {
  Configuration,
  InflatePage,
  Limits,
  ListedRamBlock,
  PageEncoding,
  RamSink,
} from "@peregrine/protocol";
import type { MemoryTarget } from "./memory-target.ts";
import type { Arrival } from "./page-counts.ts";
import type { RamStatistics } from "./ram-statistics.ts";

interface RamSectionOptions {
  readonly limits: Limits;
  readonly statistics: RamStatistics;
  readonly memory: MemoryTarget | undefined;
  readonly inflate: InflatePage;
  /** Offset in the stream of the next byte to be read. */
  readonly position: () => number;
  /** A record after which the multifd channels have to be waited for. @returns as RamSink.multifdFlush does. */
  readonly flush: () => boolean;
}

/** Counts what comes in the section `ram`, and hands it on to the memory that wants it. */
export class RamSection implements RamSink {
  readonly #options: RamSectionOptions;
  readonly #statistics: RamStatistics;
  readonly #memory: MemoryTarget | undefined;
  /** Offset in the stream behind the last record. */
  #recordEnd = 0;
  /** Pages have their places in the file, with gaps between them. */
  #inMappedBlock = false;
  /** The page that comes next was counted when its encoded form came. */
  #counted = false;

  constructor(options: RamSectionOptions) {
    this.#options = options;
    this.#statistics = options.statistics;
    this.#memory = options.memory;
  }

  /** @param fileOffset where in its file the stream begins. */
  decoder(configuration: Configuration | undefined, fileOffset: number): RamDecoder {
    const { limits, inflate } = this.#options;
    const capabilities = configuration?.capabilities ?? [];
    return new RamDecoder({
      limits,
      sink: this,
      inflate,
      fileOffset,
      blockListForm: {
        addresses: capabilities.includes("x-ignore-shared"),
        mapped: capabilities.includes("mapped-ram"),
      },
    });
  }

  /** What follows does not belong to the record before. */
  startPayload(): void {
    this.#recordEnd = this.#options.position();
  }

  mappedBlock(index: number, entry: ListedRamBlock): void {
    this.#inMappedBlock = true;
    this.#addBlock(index, entry);
  }

  blockList(blocks: readonly ListedRamBlock[]): void {
    this.#inMappedBlock = false;
    for (const [index, entry] of blocks.entries()) {
      if (index >= this.#statistics.blockCount) this.#addBlock(index, entry);
    }
    this.#memory?.listed();
  }

  #addBlock(index: number, entry: ListedRamBlock): void {
    this.#statistics.addBlock(entry);
    this.#memory?.block(index, entry);
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.#count(block, offset, "plain");
    if (this.#memory?.wants(block) === true) this.#memory.page(block, offset, bytes);
  }

  zeroPage(block: number, offset: number, fill: number): void {
    this.#count(block, offset, "zero");
    if (this.#memory?.wants(block) === true) this.#memory.zeroPage(block, offset, fill);
  }

  encodedPage(block: number, offset: number, encoding: PageEncoding): boolean {
    this.#count(block, offset, encoding === "zlib" ? "compressed" : "delta");
    // A compressed page says on its own whether it is sound; a delta only together with its page.
    this.#counted = encoding === "zlib" || this.#memory?.wants(block) === true;
    return this.#counted;
  }

  presentPage(block: number, offset: number): Uint8Array {
    return this.#memory!.presentPage(block, offset);
  }

  multifdFlush(): boolean {
    this.#statistics.flushes += 1;
    this.startPayload();
    return this.#options.flush();
  }

  #count(block: number, offset: number, arrival: Arrival): void {
    if (this.#counted) {
      this.#counted = false;
      return;
    }
    const end = this.#options.position();
    const bytes = this.#inMappedBlock ? (arrival === "plain" ? WIRE_PAGE_SIZE : 0) : end - this.#recordEnd;
    this.#recordEnd = end;
    this.#statistics.record(block, offset, arrival, bytes);
  }
}
