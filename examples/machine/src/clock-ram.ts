import { MigrationError } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { DirtyBitmap, GuestRam, RamAccess, RamBlock } from "@peregrine/shared-state";

/** Pages of the guest's memory. */
export const PAGES = 16;

const BLOCK: RamBlock = { name: "clock.ram", length: PAGES * PAGE_SIZE };

/** Memory that all threads share; it survives structured clone. */
export interface ClockMemory {
  readonly guest: SharedArrayBuffer;
  /** What each page held when it was last compared or read. */
  readonly seen: SharedArrayBuffer;
}

export function newClockMemory(): ClockMemory {
  return { guest: new SharedArrayBuffer(BLOCK.length), seen: new SharedArrayBuffer(BLOCK.length) };
}

/** For `Machine.ram()`: how another thread gets at this memory. */
export function clockRamAccess(memory: ClockMemory): RamAccess {
  return { module: import.meta.url, data: memory };
}

/** @public What the other thread calls, by this name: see {@link RamAccess}. */
export function openRam(data: unknown): GuestRam {
  return new ClockRam(data as ClockMemory);
}

/**
 * Guest memory whose dirty pages are found by comparison. The guest marks nothing; a page is dirty when it is not what it
 * was when it was last looked at. So what is given to a reader is noted as seen, too: otherwise a page that is changed,
 * read, and changed back would count as clean, and the reader would keep what was there in between.
 */
export class ClockRam implements GuestRam {
  readonly blocks = [BLOCK];
  readonly #guest: Uint8Array;
  readonly #seen: Uint8Array;
  /** One page as it was at one moment: the guest may be writing to the original. */
  readonly #page = new Uint8Array(PAGE_SIZE);

  constructor({ guest, seen }: ClockMemory) {
    this.#guest = new Uint8Array(guest);
    this.#seen = new Uint8Array(seen);
  }

  usedBytes(): number {
    return BLOCK.length;
  }

  harvest(into: readonly DirtyBitmap[]): number {
    let fresh = 0;
    for (let page = 0; page < PAGES; page++) {
      if (this.#look(page) && into[0]!.set(page)) fresh++;
    }
    return fresh;
  }

  readPages(_: number, page: number, count: number, target: Uint8Array, at: number): void {
    for (let n = 0; n < count; n++) {
      this.#look(page + n);
      target.set(this.#page, at + n * PAGE_SIZE);
    }
  }

  writePages(_: number, offset: number, bytes: Uint8Array): void {
    checkPlace(offset, bytes.length);
    this.#guest.set(bytes, offset);
  }

  fillPages(_: number, offset: number, count: number, value: number): void {
    const length = count * PAGE_SIZE;
    checkPlace(offset, length);
    this.#guest.fill(value, offset, offset + length);
  }

  /** Copies a page into `#page`, and notes it as seen. @returns whether it is another one than before. */
  #look(page: number): boolean {
    const [from, to] = [page * PAGE_SIZE, (page + 1) * PAGE_SIZE];
    this.#page.set(this.#guest.subarray(from, to));
    const isSame = this.#page.every((byte, n) => byte === this.#seen[from + n]);
    if (!isSame) this.#seen.set(this.#page, from);
    return !isSame;
  }
}

/** Nothing is written on a peer's word alone. */
function checkPlace(offset: number, length: number): void {
  if (offset % PAGE_SIZE === 0 && offset + length <= BLOCK.length) return;
  throw new MigrationError("BAD_RAM_PAGE", `Illegal RAM offset ${offset.toString(16)}`);
}
