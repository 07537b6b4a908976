import { WIRE_PAGE_SIZE } from "@peregrine/protocol";
import type { ListedRamBlock } from "@peregrine/protocol";
import { countPage, noPages } from "./page-counts.ts";
import type { Arrival, PageCounts } from "./page-counts.ts";
import { PageSet } from "./page-set.ts";
import { SweepCounter, SyncCounter } from "./pass-counter.ts";
import type { PassCounter, PassSummary } from "./pass-counter.ts";

/** A RAM block, and what came of it. */
export interface BlockSummary {
  readonly name: string;
  readonly bytes: number;
  readonly counts: PageCounts;
  /** Pages that were announced and never came. */
  readonly missingPages: number;
  /** Offset of the first of them. */
  readonly firstMissing?: number;
  /** Bytes of a page of the memory behind it, if the list has them. */
  readonly pageSize?: number;
  /** Guest physical address, with `x-ignore-shared`. */
  readonly address?: number;
  /** Where its pages lie in a mapped-ram file. */
  readonly mapped?: { readonly bitmapOffset: number; readonly pagesOffset: number };
}

interface Block {
  readonly entry: ListedRamBlock;
  readonly counts: PageCounts;
  readonly present: PageSet;
}

interface RamStatisticsOptions {
  /** Whether pages come on multifd channels, too. */
  readonly channels: boolean;
}

/** Counts the pages of a stream. Holds one bit for each page. */
export class RamStatistics {
  /** Everything that came in records of the section `ram`. */
  readonly records = noPages();
  /** Records after which everything on the multifd channels has to be there. */
  flushes = 0;
  /** Pages that the source took back. */
  discardedPages = 0;
  readonly #blocks: Block[] = [];
  readonly #passes: PassCounter;
  #growing = false;

  constructor({ channels }: RamStatisticsOptions) {
    this.#passes = channels ? new SyncCounter() : new SweepCounter();
  }

  /** A block may grow: pages behind the last one that came need not exist. */
  allowGrowth(): void {
    this.#growing = true;
  }

  addBlock(entry: ListedRamBlock): void {
    this.#blocks.push({ entry, counts: noPages(), present: new PageSet() });
  }

  get blockCount(): number {
    return this.#blocks.length;
  }

  /** The index of a block; undefined when none has the name. */
  find(name: string): { readonly index: number; readonly length: number } | undefined {
    const index = this.#blocks.findIndex(({ entry }) => entry.name === name);
    return index < 0 ? undefined : { index, length: this.#blocks[index]!.entry.length };
  }

  /** A page came in a record of the section `ram`. @param bytes of that record. */
  record(block: number, offset: number, arrival: Arrival, bytes: number): void {
    countPage(this.records, arrival, this.#add(block, offset, arrival, bytes), bytes);
  }

  /** A page came on a multifd channel. @param bytes that it took there. */
  channelPage(block: number, offset: number, arrival: Arrival, bytes: number): void {
    this.#add(block, offset, arrival, bytes);
  }

  /** @returns whether the page was there already. */
  #add(block: number, offset: number, arrival: Arrival, bytes: number): boolean {
    const { counts, present } = this.#blocks[block]!;
    const page = offset / WIRE_PAGE_SIZE;
    const repeated = !present.add(page);
    countPage(counts, arrival, repeated, bytes);
    this.#passes.add(block, page, arrival, repeated, bytes);
    return repeated;
  }

  sync(): void {
    this.#passes.sync();
  }

  startPostcopy(): void {
    this.#passes.startPostcopy();
  }

  /** Pages of the block with this index are to be sent again. */
  discard(block: number, start: number, length: number): void {
    const { entry, present } = this.#blocks[block]!;
    const end = Math.min(entry.length, start + length) / WIRE_PAGE_SIZE;
    this.discardedPages += present.deleteRange(Math.floor(start / WIRE_PAGE_SIZE), Math.ceil(end));
  }

  blocks(): readonly BlockSummary[] {
    return this.#blocks.map((block) => this.#summary(block));
  }

  passes(): readonly PassSummary[] {
    return this.#passes.passes;
  }

  #summary({ entry, counts, present }: Block): BlockSummary {
    const { name, length: bytes, pageSize, address, mapped } = entry;
    const expected = this.#growing ? present.last() + 1 : bytes / WIRE_PAGE_SIZE;
    const missingPages = expected - present.size;
    return {
      name,
      bytes,
      counts,
      missingPages,
      ...(missingPages === 0 ? {} : { firstMissing: present.firstAbsent(expected) * WIRE_PAGE_SIZE }),
      ...(pageSize === undefined ? {} : { pageSize }),
      ...(address === undefined ? {} : { address }),
      ...(mapped === undefined
        ? {}
        : { mapped: { bitmapOffset: mapped.bitmapOffset, pagesOffset: mapped.pagesOffset } }),
    };
  }
}
