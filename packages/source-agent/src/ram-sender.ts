import { ByteWriter, RAM_SECTION, RamPageEncoder } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { DirtyBitmap, GuestRam, MigrationStatistics, PageMap, PassLog } from "@peregrine/shared-state";
import type { DirtyPeriod } from "./auto-converge.ts";
import { DirtyRate } from "./dirty-rate.ts";
import type { LiveSection } from "./live-section.ts";
import type { OutgoingStream } from "./outgoing-stream.ts";
import type { PageSender } from "./page-sender.ts";
import type { SectionWriter } from "./section-writer.ts";

/** Longest time that one PART section takes, milliseconds. */
const MAX_ITERATE_MS = 50;

export interface RamSenderOptions {
  readonly ram: GuestRam;
  /** Holds the bitmap of dirty pages. */
  readonly map: PageMap;
  readonly pages: PageSender;
  readonly stream: OutgoingStream;
  readonly writer: SectionWriter;
  readonly statistics: MigrationStatistics;
  readonly passes: PassLog;
  /** Milliseconds. */
  readonly now: () => number;
  /** Called when a harvest of the dirty log leaves something to send: the number of the pass, from 1 on. */
  readonly onPass: (pass: number) => void;
  /** Called when the dirty rate was computed. */
  readonly onDirtyPeriod: (period: DirtyPeriod) => void;
}

/**
 * Sends guest memory: keeps the bitmap of dirty pages, and gives runs of them to the page sender.
 *
 * Why no write of the guest is lost: a page's bit is cleared before the page is copied, and the guest's
 * own mark is taken before that. A write that comes later makes a new mark, so a torn or outdated copy is
 * always followed by another one.
 */
export class RamSender implements LiveSection {
  readonly #ram: GuestRam;
  readonly #map: PageMap;
  readonly #pages: PageSender;
  readonly #stream: OutgoingStream;
  readonly #writer: SectionWriter;
  readonly #statistics: MigrationStatistics;
  readonly #passes: PassLog;
  readonly #now: () => number;
  readonly #onPass: (pass: number) => void;
  readonly #onDirtyPeriod: (period: DirtyPeriod) => void;
  readonly #dirty: readonly DirtyBitmap[];
  /** Pages of each block that are or were in the bitmap because they are in use. */
  readonly #knownPages: number[];
  readonly #dirtyRate: DirtyRate;
  #sectionId = 0;
  #block = 0;
  #page = 0;
  /** Pages sent since the dirty rate was computed. */
  #sentPages = 0;
  /** Pages were found dirty since the last section. */
  #harvested = false;

  constructor(options: RamSenderOptions) {
    this.#ram = options.ram;
    this.#map = options.map;
    this.#pages = options.pages;
    this.#stream = options.stream;
    this.#writer = options.writer;
    this.#statistics = options.statistics;
    this.#passes = options.passes;
    this.#now = options.now;
    this.#onPass = options.onPass;
    this.#onDirtyPeriod = options.onDirtyPeriod;
    this.#dirty = this.#map.dirty;
    this.#knownPages = this.#ram.blocks.map(() => 0);
    this.#dirtyRate = new DirtyRate(this.#now());
  }

  /** Bytes of guest memory that are dirty and not sent yet. */
  get remaining(): number {
    return this.#dirty.reduce((sum, bitmap) => sum + bitmap.count, 0) * PAGE_SIZE;
  }

  async start(): Promise<void> {
    this.#addNewMemory();
    this.#beginPass();
    this.#sectionId = await this.#writer.openSection({ kind: "start", ...RAM_SECTION });
    await this.#pages.start();
    await this.#endSection("start");
  }

  pending(maxSize: number): number {
    if (this.remaining <= maxSize) this.#harvest();
    this.#statistics.remaining = this.remaining;
    return this.remaining;
  }

  async iterate(): Promise<boolean> {
    const until = this.#now() + MAX_ITERATE_MS;
    await this.#beginSection("part");
    while (!this.#stream.limitReached && this.#now() < until) {
      const count = this.#takeRun();
      if (count === 0) break;
      const sending = this.#sendRun(count);
      if (sending !== undefined) await sending;
    }
    await this.#endSection("part");
    this.#statistics.remaining = this.remaining;
    return this.remaining === 0;
  }

  async complete(harvested?: () => void): Promise<void> {
    this.#harvest();
    harvested?.();
    await this.#beginSection("end");
    for (let count = this.#takeRun(); count > 0; count = this.#takeRun()) {
      const sending = this.#sendRun(count);
      if (sending !== undefined) await sending;
    }
    await this.#endSection("end");
    this.#statistics.remaining = 0;
  }

  #harvest(): void {
    const pages = this.#ram.harvest(this.#dirty) + this.#addNewMemory();
    if (pages > 0) this.#harvested = true;
    this.#computeDirtyRate(pages);
    this.#beginPass();
  }

  #computeDirtyRate(harvested: number): void {
    const dirtied = this.#dirtyRate.harvested(harvested, this.#now());
    if (dirtied === undefined) return;
    this.#statistics.dirtyPagesRate = this.#dirtyRate.pagesPerSecond;
    this.#onDirtyPeriod({ dirtiedBytes: dirtied * PAGE_SIZE, sentBytes: this.#sentPages * PAGE_SIZE });
    this.#sentPages = 0;
  }

  #beginPass(): void {
    const statistics = this.#statistics;
    statistics.dirtySyncCount++;
    const { remaining } = this;
    if (remaining === 0) return;
    statistics.remaining = remaining;
    statistics.passBytes = 0;
    statistics.passPages = remaining / PAGE_SIZE;
    this.#passes.add({
      pass: statistics.pass + 1,
      total: remaining,
      start: this.#now() - statistics.startTime,
      dirtyRate: statistics.dirtyBytesRate,
      // With what waits in the buffer: a small pass is in there as a whole.
      transferredBefore: statistics.transferred + this.#stream.waitingBytes,
    });
    // Last: whoever reads the number first, and then the others, does not get those of the pass before.
    statistics.pass++;
    this.#onPass(statistics.pass);
  }

  /**
   * Memory that came into use since the last harvest was never sent. It is dirty, unless its contents are in
   * the dirty log.
   * @returns its pages that were not dirty.
   */
  #addNewMemory(): number {
    let added = 0;
    let total = 0;
    for (const [block, bitmap] of this.#dirty.entries()) {
      const used = this.#ram.usedBytes(block) / PAGE_SIZE;
      const known = this.#knownPages[block]!;
      if (used > known && this.#ram.logsAllContents !== true) added += bitmap.setRange(known, used - known);
      this.#knownPages[block] = used;
      this.#map.setUsed(block, used);
      total += used * PAGE_SIZE;
    }
    this.#statistics.total = total;
    return added;
  }

  /**
   * Takes the next run of dirty pages out of the bitmap, from where the last one ended; `#block` and `#page`
   * are where it begins.
   * @returns its pages; 0 when no page is dirty.
   */
  #takeRun(): number {
    // One turn more than there are blocks: the walk may have begun behind the only dirty pages.
    for (let visited = 0; visited <= this.#dirty.length; visited++) {
      const bitmap = this.#dirty[this.#block]!;
      const count = bitmap.takeRun(this.#page, this.#pages.runPages);
      if (count > 0) {
        this.#page = bitmap.runStart;
        return count;
      }
      this.#block = (this.#block + 1) % this.#dirty.length;
      this.#page = 0;
    }
    return 0;
  }

  /** Sends the run that was taken last. @returns a promise when there is something to wait for. */
  #sendRun(count: number): Promise<void> | undefined {
    // First: the page sender says which of them are zero.
    this.#map.markSent(this.#block, this.#page, count);
    const sending = this.#pages.run(this.#block, this.#page, count);
    this.#page += count;
    this.#sentPages += count;
    this.#ram.sent?.(count);
    return sending;
  }

  async #beginSection(kind: "part" | "end"): Promise<void> {
    await this.#writer.continueSection(kind, this.#sectionId);
    await this.#pages.beginSection(kind, this.#harvested);
    this.#harvested = false;
  }

  async #endSection(kind: "start" | "part" | "end"): Promise<void> {
    await this.#pages.endSection(kind);
    await this.#stream.append(END_OF_SECTION);
    await this.#writer.closeSection(this.#sectionId);
  }
}

/** The record that ends the payload of every `ram` section. */
const END_OF_SECTION = endOfSection();

function endOfSection(): Uint8Array {
  const writer = new ByteWriter();
  new RamPageEncoder().endOfSection(writer);
  return writer.view().slice();
}
