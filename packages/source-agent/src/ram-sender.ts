import {
  ByteWriter,
  encodeFooter,
  encodeRamBlockList,
  encodeSectionContinuation,
  encodeSectionHeader,
  RAM_SECTION,
  RamPageEncoder,
} from "@peregrine/protocol";
import { DirtyBitmap, PAGE_SIZE } from "@peregrine/shared-state";
import type { GuestRam, MigrationStatistics } from "@peregrine/shared-state";
import { DirtyRate } from "./dirty-rate.ts";
import type { LiveSection } from "./live-section.ts";
import { RUN_PAGES } from "./outgoing-stream.ts";
import type { OutgoingStream } from "./outgoing-stream.ts";

/** Longest time that one PART section takes, milliseconds. */
const MAX_ITERATE_MS = 50;

const ZERO_PAGE = Buffer.alloc(PAGE_SIZE);

export interface RamSenderOptions {
  readonly ram: GuestRam;
  readonly stream: OutgoingStream;
  readonly statistics: MigrationStatistics;
  /** Of the `ram` section. */
  readonly sectionId: number;
  /** Milliseconds. */
  readonly now: () => number;
  /** Called when a harvest of the dirty log leaves something to send: the number of the pass, from 1 on. */
  readonly onPass: (pass: number) => void;
}

/**
 * Sends guest memory. Runs of dirty pages are copied out of the guest, tested for zero and encoded into the
 * stream's buffer.
 *
 * Why no write of the guest is lost: a page's bit is cleared before the page is copied, and the guest's
 * own mark is taken before that. A write that comes later makes a new mark, so a torn or outdated copy is
 * always followed by another one.
 */
export class RamSender implements LiveSection {
  readonly #ram: GuestRam;
  readonly #stream: OutgoingStream;
  readonly #statistics: MigrationStatistics;
  readonly #sectionId: number;
  readonly #now: () => number;
  readonly #onPass: (pass: number) => void;
  readonly #dirty: readonly DirtyBitmap[];
  /** Pages of each block that are or were in the bitmap because they are in use. */
  readonly #knownPages: number[];
  readonly #dirtyRate: DirtyRate;
  readonly #encoder = new RamPageEncoder();
  readonly #writer = new ByteWriter();
  readonly #copy = Buffer.allocUnsafeSlow(RUN_PAGES * PAGE_SIZE);
  #block = 0;
  #page = 0;

  constructor(options: RamSenderOptions) {
    this.#ram = options.ram;
    this.#stream = options.stream;
    this.#statistics = options.statistics;
    this.#sectionId = options.sectionId;
    this.#now = options.now;
    this.#onPass = options.onPass;
    this.#dirty = this.#ram.blocks.map((block) => new DirtyBitmap(block.length / PAGE_SIZE));
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
    const { name, instance, version } = RAM_SECTION;
    encodeSectionHeader(this.#writer, { kind: "start", id: this.#sectionId, name, instance, version });
    // The most that each block can hold: a block may grow while it is sent, and offsets are checked against this.
    encodeRamBlockList(this.#writer, this.#ram.blocks);
    await this.#appendWriter();
    await this.#endSection();
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
      if (!this.#sendRun(this.#stream.pagesUntilFull)) break;
      if (this.#stream.full) await this.#stream.send();
    }
    await this.#endSection();
    this.#statistics.remaining = this.remaining;
    return this.remaining === 0;
  }

  async complete(): Promise<void> {
    this.#harvest();
    await this.#beginSection("end");
    while (this.#sendRun(this.#stream.pagesUntilFull)) {
      if (this.#stream.full) await this.#stream.send();
    }
    await this.#endSection();
    this.#statistics.remaining = 0;
  }

  #harvest(): void {
    const pages = this.#ram.harvest(this.#dirty) + this.#addNewMemory();
    this.#dirtyRate.harvested(pages, this.#now());
    this.#statistics.dirtyPagesRate = this.#dirtyRate.pagesPerSecond;
    this.#beginPass();
  }

  #beginPass(): void {
    const statistics = this.#statistics;
    statistics.dirtySyncCount++;
    if (this.remaining === 0) return;
    statistics.pass++;
    statistics.passBytes = 0;
    statistics.passPages = this.remaining / PAGE_SIZE;
    this.#onPass(statistics.pass);
  }

  /** Memory that came into use since the last harvest was never sent. @returns its pages that were not dirty. */
  #addNewMemory(): number {
    let added = 0;
    let total = 0;
    for (const [block, bitmap] of this.#dirty.entries()) {
      const used = this.#ram.usedBytes(block) / PAGE_SIZE;
      const known = this.#knownPages[block]!;
      if (used > known) added += bitmap.setRange(known, used - known);
      this.#knownPages[block] = used;
      total += used * PAGE_SIZE;
    }
    this.#statistics.total = total;
    return added;
  }

  /**
   * Encodes the next run of dirty pages, from where the last one ended.
   * @returns false when no page is dirty.
   */
  #sendRun(maxPages: number): boolean {
    const count = this.#takeRun(maxPages);
    if (count === 0) return false;
    const first = this.#page;
    const block = this.#ram.blocks[this.#block]!.name;
    const target = this.#stream.buffer;
    const copy = this.#copy;
    let at = this.#stream.length;
    let zeroPages = 0;
    this.#ram.readPages(this.#block, first, count, copy, 0);
    for (let n = 0; n < count; n++) {
      const from = n * PAGE_SIZE;
      const offset = (first + n) * PAGE_SIZE;
      if (copy.compare(ZERO_PAGE, 0, PAGE_SIZE, from, from + PAGE_SIZE) === 0) {
        at = this.#encoder.putZeroPage(target, at, block, offset);
        zeroPages++;
        continue;
      }
      at = this.#encoder.putPageHeader(target, at, block, offset);
      at += copy.copy(target, at, from, from + PAGE_SIZE);
    }
    this.#stream.advance(at);
    this.#page = first + count;
    this.#statistics.duplicate += zeroPages;
    this.#statistics.normal += count - zeroPages;
    return true;
  }

  /** Takes the next run out of the bitmap; `#block` and `#page` are where it begins. @returns its pages, or 0. */
  #takeRun(maxPages: number): number {
    // One turn more than there are blocks: the walk may have begun behind the only dirty pages.
    for (let visited = 0; visited <= this.#dirty.length; visited++) {
      const bitmap = this.#dirty[this.#block]!;
      const count = bitmap.takeRun(this.#page, maxPages);
      if (count > 0) {
        this.#page = bitmap.runStart;
        return count;
      }
      this.#block = (this.#block + 1) % this.#dirty.length;
      this.#page = 0;
    }
    return 0;
  }

  async #beginSection(kind: "part" | "end"): Promise<void> {
    encodeSectionContinuation(this.#writer, { kind, id: this.#sectionId });
    await this.#appendWriter();
  }

  async #endSection(): Promise<void> {
    this.#encoder.endOfSection(this.#writer);
    encodeFooter(this.#writer, this.#sectionId);
    await this.#appendWriter();
  }

  async #appendWriter(): Promise<void> {
    await this.#stream.append(this.#writer.view());
    this.#writer.reset();
  }
}
