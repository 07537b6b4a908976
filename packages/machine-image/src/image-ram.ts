import { illegalRamOffset } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { DirtyBitmap, GuestRam, RamBlock } from "@peregrine/shared-state";
import { Backlog } from "./backlog.ts";
import { PageLog } from "./page-log.ts";

/** 32-bit words of a page. */
const PAGE_WORDS = PAGE_SIZE / 4;

/** A RAM block that every thread can open. */
export interface ImageBlock extends RamBlock {
  /** Its bytes. The kernel gives memory for what is touched only. */
  readonly memory: SharedArrayBuffer;
  /** Of its {@link PageLog}. */
  readonly log: SharedArrayBuffer;
}

/** What another thread opens an image's memory with. */
export interface ImageRamData {
  /** Of the {@link Backlog}. */
  readonly backlog: SharedArrayBuffer;
  readonly blocks: readonly ImageBlock[];
}

interface OpenBlock {
  readonly bytes: Uint8Array;
  /** The same memory. */
  readonly words: Int32Array;
  readonly log: PageLog;
}

/**
 * The memory of an image. One thread writes what arrives, and at the same time another one may harvest the log
 * and read pages; see {@link PageLog} for why that is safe.
 */
export class ImageRam implements GuestRam {
  readonly logsAllContents = true;
  readonly #backlog: Backlog;
  readonly #blocks: RamBlock[] = [];
  readonly #open: OpenBlock[] = [];

  constructor({ backlog, blocks }: ImageRamData) {
    this.#backlog = new Backlog(backlog);
    for (const block of blocks) this.addBlock(block);
  }

  get blocks(): readonly RamBlock[] {
    return this.#blocks;
  }

  /** Pages that were ever written or filled. The others are zero, and need not be sent. */
  get pagesWithContents(): number {
    return this.#open.reduce((sum, { log }) => sum + log.pagesWithContents, 0);
  }

  addBlock({ name, length, memory, log }: ImageBlock): void {
    this.#blocks.push({ name, length });
    this.#open.push({
      bytes: new Uint8Array(memory),
      words: new Int32Array(memory),
      log: new PageLog(length / PAGE_SIZE, log, this.#backlog),
    });
  }

  memory(block: number): Uint8Array {
    return this.#open[block]!.bytes;
  }

  usedBytes(block: number): number {
    return this.#blocks[block]!.length;
  }

  harvest(into: readonly DirtyBitmap[]): number {
    let fresh = 0;
    for (const [block, { log }] of this.#open.entries()) fresh += log.harvest(into[block]!);
    return fresh;
  }

  /** Begins the log anew: every page with contents is dirty, and what was harvested before will not be sent. */
  restartLog(): void {
    this.#backlog.forgetHarvested();
    for (const { log } of this.#open) log.markContents();
  }

  /** Errors: BAD_RAM_PAGE outside the block. */
  readPages(block: number, page: number, count: number, target: Uint8Array, at: number): void {
    const start = page * PAGE_SIZE;
    const length = count * PAGE_SIZE;
    const { bytes } = this.#require(block, start, length);
    target.set(bytes.subarray(start, start + length), at);
  }

  /** Errors: BAD_RAM_PAGE outside the block, or for anything but whole pages. */
  writePages(block: number, offset: number, bytes: Uint8Array): void {
    const open = this.#require(block, offset, bytes.length);
    open.bytes.set(bytes, offset);
    open.log.mark(offset / PAGE_SIZE, bytes.length / PAGE_SIZE);
  }

  /** Errors: BAD_RAM_PAGE outside the block. */
  fillPages(block: number, offset: number, count: number, value: number): void {
    const { bytes, words, log } = this.#require(block, offset, count * PAGE_SIZE);
    const first = offset / PAGE_SIZE;
    for (let page = first; page < first + count; page++) {
      // Without contents the page is zero, and the kernel has not given it yet.
      const isNew = !log.hasContents(page);
      if (!isNew && isFilledWith(words, page, value)) continue;
      if (!isNew || value !== 0) bytes.fill(value, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
      log.mark(page, 1);
    }
  }

  room(): Promise<void> | undefined {
    return this.#backlog.room();
  }

  sent(pages: number): void {
    this.#backlog.sent(pages);
  }

  #require(block: number, offset: number, length: number): OpenBlock {
    const open = this.#open[block];
    const whole = offset % PAGE_SIZE === 0 && length % PAGE_SIZE === 0;
    if (open === undefined || !whole || offset < 0 || length < 0 || offset + length > open.bytes.length) {
      throw illegalRamOffset(offset);
    }
    return open;
  }
}

function isFilledWith(words: Int32Array, page: number, value: number): boolean {
  const pattern = (value * 0x0101_0101) | 0;
  const end = (page + 1) * PAGE_WORDS;
  for (let word = page * PAGE_WORDS; word < end; word++) {
    if (words[word] !== pattern) return false;
  }
  return true;
}
