import { isMapped, MAX_KERNEL_RUN, MigrationError, WIRE_PAGE_SIZE } from "@peregrine/protocol";
import type { GuestPages, ListedRamBlock, PageKernel, RamSink } from "@peregrine/protocol";
import type { PagesInPlace, RamAccess } from "@peregrine/shared-state";
import type { ExpectedRun } from "./expected-pages.ts";
import type { GuestBlocks } from "./guest-blocks.ts";
import { MemoryAhead } from "./memory-ahead.ts";
import type { IncomingStatistics } from "./incoming-statistics.ts";

/** A block of the stream's list. */
export interface PlacedBlock {
  readonly name: string;
  readonly length: number;
  /** Its index in guest memory. */
  readonly index: number;
}

/** Writes decoded pages straight into guest memory. Blocks are named by their index in the stream's list. */
export class RamLoader implements RamSink {
  readonly #guest: GuestBlocks;
  readonly #statistics: IncomingStatistics;
  readonly #flush: () => void;
  readonly #kernel: PageKernel | undefined;
  readonly #placed: PlacedBlock[] = [];
  /** By index in guest memory; undefined for memory that this process does not have as bytes. */
  readonly #ahead: (MemoryAhead | undefined)[] = [];
  /** By index in guest memory; undefined for memory whose pages have to be given to it. */
  readonly #inPlace: ({ readonly ram: PagesInPlace; readonly pages: GuestPages } | undefined)[] = [];
  #listed = false;
  /** The last page that came; before the first, none is behind it. */
  #lastBlock = Infinity;
  #lastOffset = Infinity;

  /**
   * @param flush told of a multifd flush record; the decoding stops there.
   * @param kernel in whose work memory records are that come in runs.
   */
  constructor(
    guest: GuestBlocks,
    statistics: IncomingStatistics,
    flush: () => void,
    kernel: PageKernel | undefined,
  ) {
    this.#guest = guest;
    this.#statistics = statistics;
    this.#flush = flush;
    this.#kernel = kernel;
  }

  /** Errors: BAD_RAM_BLOCK when the block's pages are not in the file, and those of {@link GuestBlocks.place}. */
  mappedBlock(_block: number, entry: ListedRamBlock): void {
    if (entry.mapped === undefined || !isMapped(entry.mapped)) {
      const text = `RAM block "${entry.name}" is not in the file, cannot accept migration`;
      throw new MigrationError("BAD_RAM_BLOCK", text);
    }
    this.#place(entry);
  }

  /** Errors: those of {@link GuestBlocks}. */
  blockList(entries: readonly ListedRamBlock[]): void {
    for (const entry of entries.slice(this.#placed.length)) this.#place(entry);
    this.#guest.complete();
    this.#listed = true;
  }

  /** Errors: BAD_RAM_BLOCK when START of `ram` is over without a list of blocks. */
  requireBlockList(): void {
    if (this.#listed) return;
    throw new MigrationError("BAD_RAM_BLOCK", "Section 'ram' has no list of RAM blocks");
  }

  /** The memory for other threads. The list of blocks has to be complete. */
  listed(): { readonly access: RamAccess; readonly blocks: readonly PlacedBlock[] } {
    this.requireBlockList();
    return { access: this.#guest.access(), blocks: this.#placed };
  }

  zeroPage(block: number, offset: number, fill: number): void {
    this.#guest.ram.fillPages(this.#indexOf(block), offset, 1, fill);
    this.#sweep(block, offset, WIRE_PAGE_SIZE);
    this.#statistics.addZeroPages(1);
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.pageRun(block, offset, bytes);
  }

  pageRun(block: number, offset: number, bytes: Uint8Array): void {
    const index = this.#indexOf(block);
    this.#guest.ram.writePages(index, offset, bytes);
    this.#arrived(block, index, offset, bytes.length / WIRE_PAGE_SIZE);
  }

  pageRecords(block: number, offset: number, count: number, at: number): boolean {
    const index = this.#indexOf(block);
    const inPlace = this.#inPlace[index];
    if (inPlace === undefined) return false;
    inPlace.ram.writing(offset, count);
    inPlace.pages.storeRun(at, count, offset);
    this.#arrived(block, index, offset, count);
    return true;
  }

  zeroRun(block: number, offset: number, count: number): void {
    this.#guest.ram.fillPages(this.#indexOf(block), offset, count, 0);
    this.#sweep(block, offset, count * WIRE_PAGE_SIZE);
    this.#statistics.addZeroPages(count);
  }

  presentPage(block: number, offset: number, into: Uint8Array): Uint8Array {
    const { ram } = this.#guest;
    const index = this.#indexOf(block);
    if (offset < ram.usedBytes(index)) ram.readPages(index, offset / WIRE_PAGE_SIZE, 1, into, 0);
    else into.fill(0);
    return into;
  }

  /**
   * The pages that are expected next: behind those that came one after the other until now, if they can be written where they
   * are and never were.
   */
  get expectedRun(): ExpectedRun | undefined {
    const placed = this.#placed[this.#lastBlock];
    if (placed === undefined) return undefined;
    const ram = this.#inPlace[placed.index]?.ram;
    const offset = this.#ahead[placed.index]?.expected;
    // What came last may have been something else.
    if (ram === undefined || offset !== this.#lastOffset + WIRE_PAGE_SIZE) return undefined;
    const most = Math.min((placed.length - offset) / WIRE_PAGE_SIZE, MAX_KERNEL_RUN);
    const count = ram.unwritten?.(offset, most) ?? 0;
    return count === 0 ? undefined : { ram, offset, count };
  }

  /** So many pages of {@link expectedRun} are where they belong. */
  expectedArrived(count: number): void {
    const block = this.#lastBlock;
    const index = this.#indexOf(block);
    const offset = this.#lastOffset + WIRE_PAGE_SIZE;
    this.#inPlace[index]?.ram.writing(offset, count);
    this.#arrived(block, index, offset, count);
  }

  multifdFlush(): boolean {
    this.#flush();
    return false;
  }

  /** Undefined when more may be loaded at once, otherwise a promise for that. */
  room(): Promise<void> | undefined {
    return this.#guest.room();
  }

  #arrived(block: number, index: number, offset: number, pages: number): void {
    this.#ahead[index]?.arrived(offset, pages * WIRE_PAGE_SIZE);
    this.#sweep(block, offset, pages * WIRE_PAGE_SIZE);
    this.#statistics.addPages(pages);
  }

  /** A pass of the source goes over memory in its order, so one that begins comes with a page that is not behind the last. */
  #sweep(block: number, offset: number, length: number): void {
    const isBehind = block > this.#lastBlock || (block === this.#lastBlock && offset > this.#lastOffset);
    if (!isBehind) this.#statistics.addSweep();
    this.#lastBlock = block;
    this.#lastOffset = offset + length - WIRE_PAGE_SIZE;
  }

  #place(entry: ListedRamBlock): void {
    const { name, length } = entry;
    const index = this.#guest.place(entry);
    this.#placed.push({ name, length, index });
    const memory = this.#guest.ram.memory?.(index);
    if (memory !== undefined) this.#ahead[index] = new MemoryAhead(memory);
    const ram = this.#guest.ram.inPlace?.(index);
    if (ram !== undefined && this.#kernel !== undefined)
      this.#inPlace[index] = { ram, pages: this.#kernel.openGuest(ram.memory, ram.heads) };
  }

  #indexOf(block: number): number {
    const placed = this.#placed[block];
    if (placed === undefined) throw new MigrationError("INTERNAL", `RAM block ${block} is not in the list`);
    return placed.index;
  }
}
