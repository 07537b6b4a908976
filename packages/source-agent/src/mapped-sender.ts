import {
  ByteWriter,
  encodeRamBlockEntry,
  encodeRamTotal,
  mappedBitmapBytes,
  placeMappedBlock,
  setMappedPage,
} from "@peregrine/protocol";
import type { MappedRamHeader, RamBlockEntry } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { GuestRam, MigrationStatistics, PageMap } from "@peregrine/shared-state";
import type { SeekableOutput } from "@peregrine/transport";
import type { OutgoingStream } from "./outgoing-stream.ts";
import type { PageSender, PageSenderOptions } from "./page-sender.ts";

const ZERO_PAGE = Buffer.alloc(PAGE_SIZE);

/** The most pages that are written at once. */
const MAX_RUN_PAGES = 128;

/** A RAM block in the file. */
interface MappedBlock {
  readonly header: MappedRamHeader;
  /** Which pages are in the file; it is written when all are. */
  readonly bitmap: Uint8Array;
}

/**
 * Writes each page to its own place in a file, so that one that is sent again takes no more room. A page that is zero has
 * no bit in the bitmap, whatever lies in its place.
 */
export class MappedSender implements PageSender {
  readonly #ram: GuestRam;
  readonly #map: PageMap;
  readonly #stream: OutgoingStream;
  readonly #file: SeekableOutput;
  readonly #statistics: MigrationStatistics;
  readonly #blocks: MappedBlock[] = [];
  readonly #copy = Buffer.allocUnsafeSlow(MAX_RUN_PAGES * PAGE_SIZE);

  /** @param file that the stream goes into. */
  constructor(
    { ram, map, stream, statistics }: Pick<PageSenderOptions, "ram" | "map" | "stream" | "statistics">,
    file: SeekableOutput,
  ) {
    this.#ram = ram;
    this.#map = map;
    this.#stream = stream;
    this.#statistics = statistics;
    this.#file = file;
  }

  get runPages(): number {
    const pages = Math.floor(this.#stream.chunkBytes / PAGE_SIZE);
    return Math.min(Math.max(pages, 1), MAX_RUN_PAGES);
  }

  /** The list of blocks, with room for the bitmap and the pages behind each entry. */
  async start(): Promise<void> {
    const writer = new ByteWriter();
    encodeRamTotal(writer, this.#ram.blocks);
    await this.#stream.append(writer.view());
    for (const block of this.#ram.blocks) await this.#startBlock(block);
  }

  beginSection(): undefined {}

  run(block: number, page: number, count: number): Promise<void> | undefined {
    const { header, bitmap } = this.#blocks[block]!;
    const copy = this.#copy;
    this.#ram.readPages(block, page, count, copy, 0);
    let first = count;
    let end = 0;
    let zeroPages = 0;
    for (let n = 0; n < count; n++) {
      const from = n * PAGE_SIZE;
      const isZero = copy.compare(ZERO_PAGE, 0, PAGE_SIZE, from, from + PAGE_SIZE) === 0;
      setMappedPage(bitmap, page + n, !isZero);
      if (isZero) {
        zeroPages++;
        this.#map.markZero(block, page + n, 1);
        continue;
      }
      first = Math.min(first, n);
      end = n + 1;
    }
    this.#statistics.duplicate += zeroPages;
    this.#statistics.normal += count - zeroPages;
    if (end === 0) return undefined;
    // One write: zero pages between others are written with them.
    const bytes = copy.subarray(first * PAGE_SIZE, end * PAGE_SIZE);
    return this.#write(bytes, header.pagesOffset + (page + first) * PAGE_SIZE);
  }

  async endSection(kind: "start" | "part" | "end"): Promise<void> {
    if (kind !== "end") return;
    for (const { header, bitmap } of this.#blocks) await this.#write(bitmap, header.bitmapOffset);
  }

  close(): undefined {}

  async #startBlock(block: RamBlockEntry): Promise<void> {
    const writer = new ByteWriter();
    await this.#stream.flush();
    // Once to see how long it is, and once with the places that follow from that.
    encodeRamBlockEntry(writer, block);
    const { header, end } = placeMappedBlock(this.#file.position + writer.length, block.length);
    writer.reset();
    encodeRamBlockEntry(writer, { ...block, mapped: header });
    await this.#stream.append(writer.view());
    await this.#stream.flush();
    this.#file.seek(end);
    this.#blocks.push({ header, bitmap: new Uint8Array(mappedBitmapBytes(block.length)) });
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    this.#stream.count(bytes.length);
    await this.#file.writeAt(bytes, position);
  }
}
