import { addCounts, countPage, noPages, recordsIn } from "./page-counts.ts";
import type { Arrival, PageCounts } from "./page-counts.ts";
import { PageSet } from "./page-set.ts";

/** Passes that are listed one by one. What comes after them is counted in the last entry. */
const MOST_PASSES = 1000;

export interface PassSummary {
  /** `postcopy`: pages in the order in which the guest needed them; no more passes can be told. */
  readonly phase: "precopy" | "postcopy";
  /** More than 1 in the last entry of a very long list. */
  readonly passes: number;
  readonly counts: PageCounts;
}

/** Tells the passes of a migration apart, which the stream does not name. */
export interface PassCounter {
  /** Every pass in which pages came, in their order. */
  readonly passes: readonly PassSummary[];
  add(block: number, page: number, arrival: Arrival, present: boolean, bytes: number): void;
  /** All channels have come to a point at which they waited for each other. */
  sync(): void;
  /** The guest runs at the destination from here on. */
  startPostcopy(): void;
}

interface Pass extends PassSummary {
  passes: number;
}

class PassList {
  readonly #passes: Pass[] = [{ phase: "precopy", passes: 1, counts: noPages() }];
  #present = this.#passes[0]!;

  get passes(): readonly PassSummary[] {
    return this.#passes.filter(({ counts }) => recordsIn(counts) > 0);
  }

  get phase(): PassSummary["phase"] {
    return this.#present.phase;
  }

  /** What the present pass has so far. */
  get counts(): PageCounts {
    return this.#present.counts;
  }

  begin(phase = this.phase): void {
    if (this.#passes.length >= MOST_PASSES && phase === this.phase) {
      this.#present.passes += 1;
      return;
    }
    this.#present = { phase, passes: 1, counts: noPages() };
    this.#passes.push(this.#present);
  }
}

/**
 * On one channel a pass is a sweep over memory, in the order of the block list and of offsets: the next one begins
 * with a page that is not behind the page before it.
 */
export class SweepCounter implements PassCounter {
  readonly #list = new PassList();
  #lastBlock = -1;
  #lastPage = -1;

  get passes(): readonly PassSummary[] {
    return this.#list.passes;
  }

  add(block: number, page: number, arrival: Arrival, present: boolean, bytes: number): void {
    const behind = block > this.#lastBlock || (block === this.#lastBlock && page > this.#lastPage);
    if (!behind && this.#list.phase === "precopy") this.#list.begin();
    this.#lastBlock = block;
    this.#lastPage = page;
    countPage(this.#list.counts, arrival, present, bytes);
  }

  sync(): void {
    // Only channels beside the main one have an order that is not known in between.
  }

  startPostcopy(): void {
    this.#list.begin("postcopy");
  }
}

/**
 * Several channels have a common order only where they wait for each other. What comes between two such points
 * begins a new pass if one of its pages has come in the present pass before.
 */
export class SyncCounter implements PassCounter {
  readonly #list = new PassList();
  /** Pages of the present pass, by block; and those that have come since the last sync. */
  #ofPass: PageSet[] = [];
  #sinceSync: PageSet[] = [];
  #counts = noPages();
  #repeated = false;

  get passes(): readonly PassSummary[] {
    return this.#list.passes;
  }

  add(block: number, page: number, arrival: Arrival, present: boolean, bytes: number): void {
    if (this.#ofPass[block]?.has(page) === true) this.#repeated = true;
    (this.#sinceSync[block] ??= new PageSet()).add(page);
    countPage(this.#counts, arrival, present, bytes);
  }

  sync(): void {
    if (this.#repeated && this.#list.phase === "precopy") {
      this.#list.begin();
      this.#ofPass = this.#sinceSync;
    } else {
      for (const [block, pages] of this.#sinceSync.entries()) {
        if (pages !== undefined) (this.#ofPass[block] ??= new PageSet()).addAll(pages);
      }
    }
    addCounts(this.#list.counts, this.#counts);
    this.#sinceSync = [];
    this.#counts = noPages();
    this.#repeated = false;
  }

  startPostcopy(): void {
    this.sync();
    this.#list.begin("postcopy");
  }
}
