import { MigrationError } from "./errors.ts";
import { WIRE_PAGE_SIZE } from "./wire.ts";
import { DeltaPage } from "./xbzrle.ts";

/** For this many passes over memory a page keeps its slot against another one. */
const LIFETIME = 2;
const EMPTY = -1;

/**
 * What the receiver has of some pages, kept by the source so that it can send deltas to it. A table with
 * one slot for each page address, shared by all addresses that are a multiple of its size apart.
 *
 * A generation is a pass over memory, counted from 1.
 */
export class XbzrleCache {
  readonly #slots: number;
  readonly #addresses: Float64Array;
  readonly #generations: Float64Array;
  readonly #pages: (DeltaPage | undefined)[];

  /**
   * @param bytes what the pages may take together: a power of two, at least one page. A page's memory
   *   is taken when its slot is first used.
   *
   * Errors: BAD_PARAMETER for other sizes.
   */
  constructor(bytes: number) {
    const slots = bytes / WIRE_PAGE_SIZE;
    if (!Number.isInteger(Math.log2(slots)) || slots < 1 || slots > 2 ** 31) {
      throw new MigrationError(
        "BAD_PARAMETER",
        `${bytes} bytes cannot be the size of the XBZRLE cache: use a power of two of at least ${WIRE_PAGE_SIZE}`,
      );
    }
    this.#slots = slots;
    this.#addresses = new Float64Array(slots).fill(EMPTY);
    this.#generations = new Float64Array(slots);
    this.#pages = [];
  }

  /**
   * Finds a page and renews its time.
   *
   * @param address its place among all RAM blocks laid end to end.
   * @returns the page as the receiver has it, undefined on a miss. Whoever sends a delta to it writes
   *   the new page into it.
   */
  find(address: number, generation: number): DeltaPage | undefined {
    const slot = this.#slot(address);
    if (this.#addresses[slot] !== address) return undefined;
    this.#generations[slot] = generation;
    return this.#pages[slot];
  }

  /**
   * Keeps a copy of a page that was sent whole.
   *
   * @returns false when another page has the slot and was used too recently to give it up.
   */
  insert(address: number, page: Uint8Array, generation: number): boolean {
    const slot = this.#slot(address);
    const holder = this.#addresses[slot] ?? EMPTY;
    const used = this.#generations[slot] ?? 0;
    if (holder !== EMPTY && holder !== address && used + LIFETIME > generation) return false;
    this.#addresses[slot] = address;
    this.#generations[slot] = generation;
    const kept = (this.#pages[slot] ??= new DeltaPage(new Uint8Array(WIRE_PAGE_SIZE)));
    kept.bytes.set(page);
    return true;
  }

  /**
   * A cache of another size with the pages of this one, which must not be used any more. Where two pages meet
   * in a slot, the one that was used later stays.
   *
   * Errors: BAD_PARAMETER as the constructor's.
   */
  resized(bytes: number): XbzrleCache {
    const other = new XbzrleCache(bytes);
    for (const [slot, page] of this.#pages.entries()) {
      const address = this.#addresses[slot] ?? EMPTY;
      if (page === undefined || address === EMPTY) continue;
      other.#adopt(address, page, this.#generations[slot] ?? 0);
    }
    return other;
  }

  #adopt(address: number, page: DeltaPage, generation: number): void {
    const slot = this.#slot(address);
    if (this.#pages[slot] !== undefined && (this.#generations[slot] ?? 0) >= generation) return;
    this.#addresses[slot] = address;
    this.#generations[slot] = generation;
    this.#pages[slot] = page;
  }

  #slot(address: number): number {
    const page = address / WIRE_PAGE_SIZE;
    if (!Number.isSafeInteger(page) || page < 0) {
      throw new MigrationError("INTERNAL", `${address} is not the address of a page`);
    }
    return page % this.#slots;
  }
}
