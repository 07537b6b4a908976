import type { CodeWriter } from "./code-writer.ts";
import { setMark } from "./control-access.ts";
import { op } from "./opcodes.ts";

const PAGE_SHIFT = 12;
const PAGE_BYTES = 1 << PAGE_SHIFT;
/** Bytes from the marked address on that one mark stands for: the harvest compares the first 15 of the next page. */
const MARK_BYTES = 16;

/** Stores to offsets from one local. */
interface Group {
  /** Lowest and highest offset that a store begins at. */
  lowest: number;
  highest: number;
  /** Highest offset + 1 that a store writes to. */
  end: number;
}

/**
 * Marks of stores in the dirty map. They are held back up to the end of a piece of straight code, within which the guest cannot
 * be left, so that stores to offsets from the same local need no more than two: of any store between two marked addresses
 * less than a page apart, the page that it begins in is marked by one of them.
 */
export class DirtyMarks {
  readonly #out: CodeWriter;
  /** Marks as release stores. */
  readonly #release: boolean;
  readonly #helper: () => number | undefined;
  readonly #groups = new Map<number, Group>();
  readonly #pages = new Set<number>();

  /** @param helper the function that marks an address, where short code is better than fast code. */
  constructor(out: CodeWriter, release: boolean, helper: () => number | undefined) {
    this.#out = out;
    this.#release = release;
    this.#helper = helper;
  }

  /** Notes a store of `size` bytes to `local + offset`. The local must not change before {@link beforeWrite}. */
  stored(local: number, offset: number, size: number): void {
    const group = this.#groups.get(local);
    const start = offset >>> 0;
    if (group === undefined) {
      this.#groups.set(local, { lowest: start, highest: start, end: start + size });
      return;
    }
    const lowest = Math.min(group.lowest, start);
    const highest = Math.max(group.highest, start);
    if (highest - lowest >= PAGE_BYTES) {
      this.beforeWrite(local);
      this.stored(local, offset, size);
      return;
    }
    group.lowest = lowest;
    group.highest = highest;
    group.end = Math.max(group.end, start + size);
  }

  storedAt(address: number): void {
    this.#pages.add(Math.floor(address / PAGE_BYTES));
  }

  /** Marks what was stored by way of a local, which is about to change. */
  beforeWrite(local: number): void {
    const group = this.#groups.get(local);
    if (group === undefined) return;
    this.#groups.delete(local);
    const { lowest, highest, end } = group;
    if (end <= MARK_BYTES) this.mark(local, 0);
    else if (end - lowest <= MARK_BYTES) this.mark(local, lowest);
    else {
      // The page of the local itself spares an addition, and is near enough.
      if (highest !== lowest) this.mark(local, highest < PAGE_BYTES ? 0 : lowest);
      this.mark(local, highest);
    }
  }

  /** Marks all that was stored. Leaves the operands as they are. */
  flush(): void {
    if (this.#groups.size + this.#pages.size === 0) return;
    for (const local of this.#groups.keys()) this.beforeWrite(local);
    for (const page of this.#pages) {
      this.#out.i32Const(page);
      this.#set();
    }
    this.#pages.clear();
  }

  mark(local: number, offset: number): void {
    this.#out.localGet(local);
    if (offset !== 0) this.#out.i32Const(offset).u8(op.i32Add);
    const helper = this.#helper();
    if (helper !== undefined) {
      this.#out.call(helper);
      return;
    }
    this.#out.i32Const(PAGE_SHIFT).u8(op.i32ShrU);
    this.#set();
  }

  #set(): void {
    setMark(this.#out, this.#release);
  }
}
