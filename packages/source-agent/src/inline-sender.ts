import {
  ByteWriter,
  DELTA_OVERFLOW,
  DELTA_UNCHANGED,
  encodeRamBlockList,
  RamPageEncoder,
} from "@peregrine/protocol";
import type { GuestPages, PageKernel, PageSource } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { GuestRam, MigrationStatistics, PageMap, PagesInPlace } from "@peregrine/shared-state";
import { DeltaEncoder } from "./delta-encoder.ts";
import { COPY_PAGES } from "./outgoing-stream.ts";
import type { OutgoingStream } from "./outgoing-stream.ts";
import type { PageSender, PageSenderOptions } from "./page-sender.ts";

/** A RAM block whose pages are read where they are. */
interface BlockInPlace {
  readonly ram: PagesInPlace;
  readonly pages: GuestPages;
  /** Whether the stream takes pages from there. */
  readonly isGathered: boolean;
}

/**
 * Sends pages in the main stream: tests them for zero and encodes them into the stream's buffer, whole or as deltas. Of whole
 * ones that can be read where they are in the guest's memory, only the heads are put there if the channel gathers the rest,
 * else all of them. Others are copied out of it first, a run at a time.
 */
export class InlineSender implements PageSender {
  readonly #ram: GuestRam;
  readonly #map: PageMap;
  readonly #stream: OutgoingStream;
  readonly #statistics: MigrationStatistics;
  readonly #encoder = new RamPageEncoder();
  readonly #kernel: PageKernel;
  /** Where in the work memory pages are copied to. */
  readonly #copy: number;
  /** Of each block, when none has to be copied. */
  readonly #inPlace: readonly BlockInPlace[] | undefined;
  /** Where each block begins when all are laid end to end. */
  readonly #addresses: readonly number[];
  readonly #deltas: DeltaEncoder | undefined;
  /** The last run had nothing else. */
  #onlyZeros = false;

  constructor({
    ram,
    map,
    stream,
    capabilities,
    parameters,
    statistics,
    now,
  }: Pick<
    PageSenderOptions,
    "ram" | "map" | "stream" | "capabilities" | "parameters" | "statistics" | "now"
  >) {
    this.#ram = ram;
    this.#map = map;
    this.#stream = stream;
    this.#kernel = stream.kernel;
    this.#copy = this.#kernel.take(COPY_PAGES * PAGE_SIZE);
    this.#statistics = statistics;
    let ramBytes = 0;
    this.#addresses = ram.blocks.map(({ length }) => {
      ramBytes += length;
      return ramBytes - length;
    });
    const { kernel } = stream;
    if (capabilities.xbzrle)
      this.#deltas = new DeltaEncoder({ kernel, ramBytes, parameters, statistics, now });
    // A delta is made from a page that does not change meanwhile.
    else this.#inPlace = blocksInPlace(ram, stream);
  }

  get runPages(): number {
    if (this.#inPlace === undefined) return Math.min(this.#stream.pagesUntilFull, COPY_PAGES);
    const { zerosUntilFull, pagesUntilFull, isLimited } = this.#stream;
    // What proves to be pages after all may go beyond a limit by no more than what the buffer takes.
    return this.#onlyZeros && !isLimited ? Math.max(zerosUntilFull, 1) : pagesUntilFull;
  }

  async start(): Promise<void> {
    const writer = new ByteWriter();
    // The most that each block can hold: a block may grow while it is sent, and offsets are checked against this.
    encodeRamBlockList(writer, this.#ram.blocks);
    await this.#stream.append(writer.view());
  }

  beginSection(kind: "part" | "end"): undefined {
    this.#deltas?.beginSection(kind);
  }

  run(block: number, page: number, count: number): Promise<void> | undefined {
    const inPlace = this.#inPlace?.[block];
    if (inPlace !== undefined) {
      inPlace.ram.reading(page, count);
      return this.#runInPlace(inPlace, block, page, count);
    }
    this.#ram.readPages(block, page, count, this.#kernel.bytes, this.#copy);
    if (this.#deltas === undefined) this.#putRun(block, page, count, this.#copy, this.#kernel);
    else this.#putDeltas(this.#deltas, block, page, count);
    this.#markZeroPages(block, page, count);
    return this.#stream.full ? this.#stream.send() : undefined;
  }

  /** Where there were only zeros until now, a run may have more pages than the buffer takes of others. */
  #runInPlace(inPlace: BlockInPlace, block: number, page: number, count: number): Promise<void> | undefined {
    const zeros = this.#onlyZeros ? this.#putZeros(block, page, count, inPlace.pages) : 0;
    const next = page + zeros;
    const pages = Math.min(count - zeros, this.#stream.pagesUntilFull);
    if (pages > 0) {
      if (inPlace.isGathered) this.#putHeads(block, next, pages, inPlace.pages);
      else this.#putRun(block, next, pages, next * PAGE_SIZE, inPlace.pages);
      this.#markZeroPages(block, next, pages);
      this.#onlyZeros = this.#kernel.zeroCount === pages;
    }
    const sending = this.#stream.full ? this.#stream.send() : undefined;
    const left = count - zeros - pages;
    return left === 0 ? sending : this.#goOn(sending, inPlace, block, next + pages, left);
  }

  async #goOn(
    sending: Promise<void> | undefined,
    inPlace: BlockInPlace,
    block: number,
    page: number,
    count: number,
  ): Promise<void> {
    await sending;
    await this.#runInPlace(inPlace, block, page, count);
  }

  endSection(): undefined {}

  close(): undefined {}

  /** @returns how many of the pages have only zeros, up to the first one that has not: their records are put. */
  #putZeros(block: number, page: number, count: number, pages: GuestPages): number {
    const { place, length, zerosUntilFull } = this.#stream;
    const most = Math.min(count, zerosUntilFull);
    const { name } = this.#ram.blocks[block]!;
    const from = page * PAGE_SIZE;
    const end = this.#encoder.putZeros(this.#kernel, from, most, name, from, place + length, pages);
    const { zeroCount } = this.#kernel;
    this.#stream.advance(end - place);
    this.#map.markZero(block, page, zeroCount);
    this.#countPages(zeroCount, zeroCount);
    return zeroCount;
  }

  /** @param at where the first page is in `pages`. */
  #putRun(block: number, page: number, count: number, at: number, pages: PageSource): void {
    const { place, length } = this.#stream;
    const { name } = this.#ram.blocks[block]!;
    const offset = page * PAGE_SIZE;
    const end = this.#encoder.putRun(this.#kernel, at, count, name, offset, place + length, pages);
    this.#stream.advance(end - place);
    this.#countPages(count, this.#kernel.zeroCount);
  }

  /**
   * What follows the heads is read when the stream is written. That is as good as now: the pages' bits are clear, and stores to a
   * page make marks of its own, but for those to its head from the page before.
   */
  #putHeads(block: number, page: number, count: number, pages: GuestPages): void {
    const { place, length, places } = this.#stream;
    const { name } = this.#ram.blocks[block]!;
    const from = page * PAGE_SIZE;
    const end = this.#encoder.putHeads(this.#kernel, from, count, name, from, place + length, pages, places);
    this.#stream.advanceHeads(end - place, count - this.#kernel.zeroCount);
    this.#countPages(count, this.#kernel.zeroCount);
  }

  #putDeltas(deltas: DeltaEncoder, block: number, page: number, count: number): void {
    const { name } = this.#ram.blocks[block]!;
    const address = this.#addresses[block]!;
    const zeroPages = this.#kernel.zeroPages(this.#copy, count);
    let whole = 0;
    for (let n = 0; n < count; n++) {
      const { buffer, length } = this.#stream;
      const offset = (page + n) * PAGE_SIZE;
      if (this.#kernel.isZero(n)) {
        deltas.zeroPage(address + offset);
        this.#stream.advance(this.#encoder.putZeroPage(buffer, length, name, offset));
        continue;
      }
      const copy = this.#copy + n * PAGE_SIZE;
      const delta = deltas.encode(address + offset, copy);
      if (delta === DELTA_UNCHANGED) continue;
      if (delta === DELTA_OVERFLOW) {
        const bytes = this.#kernel.bytes.subarray(copy, copy + PAGE_SIZE);
        this.#stream.advance(this.#encoder.putPage(buffer, length, name, offset, bytes));
        whole++;
        continue;
      }
      const bytes = deltas.delta.subarray(0, delta);
      const at = deltas.startsFromZeros ? this.#encoder.putZeroPage(buffer, length, name, offset) : length;
      this.#stream.advance(this.#encoder.putDelta(buffer, at, name, offset, bytes));
    }
    this.#countPages(whole + zeroPages, zeroPages);
  }

  #markZeroPages(block: number, page: number, count: number): void {
    const kernel = this.#kernel;
    if (kernel.zeroCount === 0) return;
    if (kernel.zeroCount === count) {
      this.#map.markZero(block, page, count);
      return;
    }
    for (let n = 0, left = kernel.zeroCount; left > 0; n++) {
      if (!kernel.isZero(n)) continue;
      this.#map.markZero(block, page + n, 1);
      left--;
    }
  }

  /** @param count of the pages that were sent whole or as zeros. */
  #countPages(count: number, zeroPages: number): void {
    this.#statistics.duplicate += zeroPages;
    this.#statistics.normal += count - zeroPages;
  }
}

/** Undefined when one of them has to be copied. */
function blocksInPlace(ram: GuestRam, stream: OutgoingStream): readonly BlockInPlace[] | undefined {
  const blocks: BlockInPlace[] = [];
  for (const block of ram.blocks.keys()) {
    const inPlace = ram.inPlace?.(block);
    if (inPlace === undefined) return undefined;
    const { memory, heads } = inPlace;
    const addresses = stream.addressesOf(new Uint8Array(memory.buffer));
    const pages = stream.kernel.openGuest(memory, heads, addresses);
    blocks.push({ ram: inPlace, pages, isGathered: addresses !== undefined });
  }
  return blocks;
}
