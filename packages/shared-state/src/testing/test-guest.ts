import { MigrationError } from "@peregrine/protocol";
import { PAGE_SIZE } from "../machine.ts";
import type { TestRam } from "./test-ram.ts";

/** Where in a page its own number is, so that a page in a wrong place is noticed. */
const STAMP_AT = 8;

/**
 * The test guest's program: it walks over the first `hotPages` pages of block 0 for ever and increments
 * the first byte of each. So at any moment every page before its position is exactly one ahead of every
 * page behind it: there is one edge, and a page lost or sent twice makes another.
 */
export class TestGuest {
  readonly ram: TestRam;
  readonly hotPages: number;
  /** Sweeps that are complete. */
  sweeps = 0n;
  /** The page to be incremented next. */
  position = 0;

  constructor(ram: TestRam, hotPages: number) {
    this.ram = ram;
    this.hotPages = hotPages;
  }

  /** Writes to `pages` pages. */
  step(pages: number): void {
    for (let n = 0; n < pages; n++) {
      const offset = this.position * PAGE_SIZE;
      this.ram.store(0, offset, (this.ram.load(0, offset) + 1) & 0xff);
      this.position++;
      if (this.position < this.hotPages) continue;
      this.position = 0;
      this.sweeps++;
    }
  }

  /** Fills memory before the first step. Every fourth page stays zero. */
  stampAll(): void {
    for (const block of this.ram.blocks.keys()) {
      for (let page = 0; page < this.ram.usedPages(block); page++) {
        for (let n = 0; n < 4; n++)
          this.ram.store(block, page * PAGE_SIZE + STAMP_AT + n, stamp(block, page, n));
      }
    }
  }

  /**
   * Looks for a second edge and for pages in a wrong place.
   * @param stamped pages of each block that {@link stampAll} filled.
   * Errors: INTERNAL, naming the page.
   */
  verify(stamped: readonly number[]): void {
    for (const [block, pages] of stamped.entries()) {
      for (let page = 0; page < pages; page++) {
        const offset = page * PAGE_SIZE;
        if (this.ram.load(block, offset) !== this.#expectedByte(block, page)) {
          const found = this.ram.load(block, offset);
          throw broken(block, page, `holds ${found} where ${this.#expectedByte(block, page)} is expected`);
        }
        for (let n = 0; n < 4; n++) {
          if (this.ram.load(block, offset + STAMP_AT + n) === stamp(block, page, n)) continue;
          throw broken(block, page, "does not hold its own number");
        }
      }
    }
  }

  #expectedByte(block: number, page: number): number {
    if (block !== 0 || page >= this.hotPages) return 0;
    return Number((this.sweeps + (page < this.position ? 1n : 0n)) & 0xffn);
  }
}

/** Byte `n` of the number of a page; 0 for the pages that stay zero. */
function stamp(block: number, page: number, n: number): number {
  if (page % 4 === 3) return 0;
  return (((block << 24) + page + 1) >>> (8 * n)) & 0xff;
}

function broken(block: number, page: number, what: string): MigrationError {
  return new MigrationError("INTERNAL", `page ${page} of block ${block} ${what}`);
}
