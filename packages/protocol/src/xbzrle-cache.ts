import { MigrationError } from "./errors.ts";
import type { KeptPages, PageKernel } from "./kernels/page-kernel.ts";
import { WIRE_PAGE_SIZE } from "./wire.ts";

/** For this many passes over memory a page keeps its slot against another one. */
const LIFETIME = 2;
const EMPTY = -1;

/** What {@link XbzrleCache.find} returns on a miss. */
export const NOT_KEPT = -1;

/**
 * What the receiver has of some pages, kept by the source so that it can send deltas to it. A table with
 * one slot for each page address, shared by all addresses that are a multiple of its size apart.
 *
 * A generation is a pass over memory, counted from 1. Pages are given as their places in a kernel's work memory.
 */
export class XbzrleCache {
  /** The pages, by their slots. */
  readonly pages: KeptPages;
  readonly #kernel: PageKernel;
  readonly #slots: number;
  readonly #addresses: Float64Array;
  readonly #generations: Float64Array;

  /**
   * @param bytes what the pages may take together: a power of two, at least one page. A page's memory
   *   is taken when its slot is first used.
   *
   * Errors: BAD_PARAMETER for other sizes.
   */
  constructor(kernel: PageKernel, bytes: number) {
    const slots = bytes / WIRE_PAGE_SIZE;
    if (!Number.isInteger(Math.log2(slots)) || slots < 1 || slots > 2 ** 31) {
      throw new MigrationError(
        "BAD_PARAMETER",
        `${bytes} bytes cannot be the size of the XBZRLE cache: use a power of two of at least ${WIRE_PAGE_SIZE}`,
      );
    }
    this.#kernel = kernel;
    this.#slots = slots;
    this.#addresses = new Float64Array(slots).fill(EMPTY);
    this.#generations = new Float64Array(slots);
    this.pages = kernel.openKeptPages(slots);
  }

  /**
   * Finds a page and renews its time.
   *
   * @param address its place among all RAM blocks laid end to end.
   * @returns the number in {@link pages} of the page as the receiver has it, {@link NOT_KEPT} on a miss. Whoever
   *   sends a delta to it has it replaced by the new page.
   */
  find(address: number, generation: number): number {
    const slot = this.#slot(address);
    if (this.#addresses[slot] !== address) return NOT_KEPT;
    this.#generations[slot] = generation;
    return slot;
  }

  /**
   * Keeps a copy of a page that was sent whole.
   *
   * @returns false when another page has the slot and was used too recently to give it up.
   */
  insert(address: number, page: number, generation: number): boolean {
    const slot = this.#claim(address, generation);
    if (slot === NOT_KEPT) return false;
    this.pages.keep(slot, page);
    return true;
  }

  /** Keeps a page of zeros that was sent as such. @returns as {@link insert}. */
  insertZeros(address: number, generation: number): boolean {
    const slot = this.#claim(address, generation);
    if (slot === NOT_KEPT) return false;
    this.pages.keepZeros(slot);
    return true;
  }

  /**
   * A cache of another size with the pages of this one, which must not be used any more. Where two pages meet
   * in a slot, the one that was used later stays.
   *
   * Errors: BAD_PARAMETER as the constructor's.
   */
  resized(bytes: number): XbzrleCache {
    const other = new XbzrleCache(this.#kernel, bytes);
    for (let slot = 0; slot < this.#slots; slot++) {
      const address = this.#addresses[slot]!;
      if (address !== EMPTY) other.#adopt(address, this.#generations[slot]!, this.pages, slot);
    }
    return other;
  }

  #adopt(address: number, generation: number, pages: KeptPages, number: number): void {
    const slot = this.#slot(address);
    if (this.#addresses[slot] !== EMPTY && this.#generations[slot]! >= generation) return;
    this.#addresses[slot] = address;
    this.#generations[slot] = generation;
    this.pages.keepOther(slot, pages, number);
  }

  /** The slot, which is the address's from now on; {@link NOT_KEPT} when another one does not give it up. */
  #claim(address: number, generation: number): number {
    const slot = this.#slot(address);
    const holder = this.#addresses[slot]!;
    const used = this.#generations[slot]!;
    if (holder !== EMPTY && holder !== address && used + LIFETIME > generation) return NOT_KEPT;
    this.#addresses[slot] = address;
    this.#generations[slot] = generation;
    return slot;
  }

  #slot(address: number): number {
    const page = address / WIRE_PAGE_SIZE;
    if (!Number.isSafeInteger(page) || page < 0) {
      throw new MigrationError("INTERNAL", `${address} is not the address of a page`);
    }
    // The low 31 bits are enough: there are at most 2^31 slots, a power of two.
    return page & (this.#slots - 1);
  }
}
