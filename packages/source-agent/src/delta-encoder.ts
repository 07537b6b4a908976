import {
  DELTA_OVERFLOW,
  DELTA_UNCHANGED,
  NOT_KEPT,
  XbzrleCache,
  ZERO_RECORD_BYTES,
} from "@peregrine/protocol";
import type { KeptPages, PageKernel } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { MigrationParameters, MigrationStatistics } from "@peregrine/shared-state";

/** What a delta has in front of it, besides the page's word: how it is encoded, and its length. */
const DELTA_HEAD_BYTES = 3;

/** The longest delta to zeros that is made. What saves less than half of a page is not worth the time that it takes both ends. */
const MOST_FROM_ZEROS = PAGE_SIZE / 2;

/** Shortest time over which the rates are computed, milliseconds. */
const PERIOD_MS = 1000;

/** Bytes that a {@link DeltaEncoder} takes of its kernel's work memory. */
export const DELTA_ENCODER_BYTES = PAGE_SIZE;

export interface DeltaEncoderOptions {
  /** Has the pages in its work memory. */
  readonly kernel: PageKernel;
  /** Bytes of all RAM blocks. */
  readonly ramBytes: number;
  readonly parameters: MigrationParameters;
  readonly statistics: MigrationStatistics;
  /** Milliseconds. */
  readonly now: () => number;
}

/** Pages of the first pass count as old: most never come again, and give way to one that does. */
const FIRST_PASS = 0;

/**
 * Makes deltas: to what was sent before of a page, from the second pass on, and to zeros of a page that is sent for the first
 * time or was forgotten. Memory that a program does not use yet, or not much, is zeros with little between them.
 *
 * A page is named by its address, its place among all RAM blocks laid end to end.
 */
export class DeltaEncoder {
  /** Holds the delta made last: a part of the work memory. */
  readonly delta: Uint8Array;
  readonly #deltaAt: number;
  readonly #parameters: MigrationParameters;
  readonly #statistics: MigrationStatistics;
  readonly #now: () => number;
  /** A cache that is larger holds nothing more. */
  readonly #mostBytes: number;
  #cacheBytes: number;
  #cache: XbzrleCache;
  /** One page of zeros. */
  readonly #zeros: KeptPages;
  #startsFromZeros = false;
  /** In the first pass pages are only kept. In the last stage none comes again, and none is kept. */
  #stage: "first-pass" | "deltas" | "last" = "first-pass";
  #processed = 0;
  #periodStart: number;
  #atPeriodStart = { processed: 0, misses: 0, pages: 0, bytes: 0 };

  /** Takes the cache's table; a page's memory is taken when it is first kept. */
  constructor({ kernel, ramBytes, parameters, statistics, now }: DeltaEncoderOptions) {
    this.#deltaAt = kernel.take(DELTA_ENCODER_BYTES);
    this.delta = kernel.bytes.subarray(this.#deltaAt, this.#deltaAt + PAGE_SIZE);
    this.#parameters = parameters;
    this.#statistics = statistics;
    this.#now = now;
    this.#mostBytes = 2 ** Math.ceil(Math.log2(Math.max(ramBytes, PAGE_SIZE)));
    this.#cacheBytes = this.#wantedBytes;
    this.#cache = new XbzrleCache(kernel, this.#cacheBytes);
    this.#zeros = kernel.openKeptPages(1);
    this.#zeros.keepZeros(0);
    this.#periodStart = now();
  }

  /** Whether the destination needs a page of zeros first, which {@link delta} then makes the page of. */
  get startsFromZeros(): boolean {
    return this.#startsFromZeros;
  }

  /** Begins a section, whose pages all go through this encoder. */
  beginSection(kind: "part" | "end"): void {
    if (this.#statistics.pass > 1) this.#stage = kind === "end" ? "last" : "deltas";
    if (this.#cacheBytes !== this.#wantedBytes) {
      this.#cacheBytes = this.#wantedBytes;
      this.#cache = this.#cache.resized(this.#cacheBytes);
    }
    this.#measure();
  }

  /** Notes that the destination has a page of zeros here. */
  zeroPage(address: number): void {
    if (this.#stage === "first-pass") return;
    this.#processed++;
    this.#cache.insertZeros(address, this.#generation);
  }

  /**
   * Makes the delta from what the destination has, or else from zeros, to `page`, and notes that it has `page`. The page
   * must be a copy, as the guest writes to its own, and not be zeros.
   * @param page where it is in the work memory.
   * @returns the length of {@link delta}; DELTA_UNCHANGED when nothing has to be sent; DELTA_OVERFLOW when
   *   the page has to be sent whole.
   */
  encode(address: number, page: number): number {
    this.#startsFromZeros = false;
    if (this.#stage === "first-pass") {
      this.#cache.insert(address, page, FIRST_PASS);
      return this.#encodeFromZeros(page);
    }
    const { xbzrle } = this.#statistics;
    this.#processed++;
    const kept = this.#cache.find(address, this.#generation);
    if (kept === NOT_KEPT) {
      xbzrle.cacheMiss++;
      if (this.#stage !== "last") this.#cache.insert(address, page, this.#generation);
      return this.#encodeFromZeros(page);
    }
    xbzrle.pages++;
    const replace = this.#stage !== "last";
    const length = this.#cache.pages.encodeDelta(kept, page, this.#deltaAt, PAGE_SIZE, replace);
    if (length === DELTA_UNCHANGED) return length;
    if (length === DELTA_OVERFLOW) xbzrle.overflow++;
    xbzrle.bytes += length === DELTA_OVERFLOW ? PAGE_SIZE : length + DELTA_HEAD_BYTES;
    return length;
  }

  #encodeFromZeros(page: number): number {
    const length = this.#zeros.encodeDelta(0, page, this.#deltaAt, MOST_FROM_ZEROS, false);
    if (length <= 0) return DELTA_OVERFLOW;
    this.#startsFromZeros = true;
    const { xbzrle } = this.#statistics;
    xbzrle.pages++;
    xbzrle.bytes += ZERO_RECORD_BYTES + length + DELTA_HEAD_BYTES;
    return length;
  }

  get #wantedBytes(): number {
    return Math.min(this.#parameters.xbzrleCacheSize, this.#mostBytes);
  }

  /** A page keeps its slot for some passes. */
  get #generation(): number {
    return this.#statistics.dirtySyncCount;
  }

  #measure(): void {
    const now = this.#now();
    if (now - this.#periodStart <= PERIOD_MS) return;
    const { xbzrle } = this.#statistics;
    const before = this.#atPeriodStart;
    const processed = this.#processed - before.processed;
    const bytes = xbzrle.bytes - before.bytes;
    const pageBytes = (xbzrle.pages - before.pages) * PAGE_SIZE;
    xbzrle.cacheMissRate = processed === 0 ? 0 : (xbzrle.cacheMiss - before.misses) / processed;
    xbzrle.encodingRate = bytes === 0 ? 0 : pageBytes / bytes;
    this.#periodStart = now;
    this.#atPeriodStart = {
      processed: this.#processed,
      misses: xbzrle.cacheMiss,
      pages: xbzrle.pages,
      bytes: xbzrle.bytes,
    };
  }
}
