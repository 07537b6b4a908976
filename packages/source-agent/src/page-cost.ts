import { PAGE_SIZE } from "@peregrine/shared-state";

/** What is expected falls by this part of the difference with each packet that was cheaper. */
const FALL = 1 / 8;
/** However well pages compress, they are expected to cost so many bytes. */
const LEAST = 64;

/**
 * What a page is expected to cost on the wire. Compressed, that is known only afterwards; it is taken to be as much as
 * lately at worst, so that a limit is not exceeded by what has been given out already.
 */
export class PageCost {
  readonly #compressed: boolean;
  #bytesPerPage = PAGE_SIZE;

  constructor(compressed: boolean) {
    this.#compressed = compressed;
  }

  get bytesPerPage(): number {
    return this.#bytesPerPage;
  }

  /** So many pages, of which none is zero, have become so many bytes. */
  sent(pages: number, bytes: number): void {
    if (!this.#compressed || pages === 0) return;
    const cost = Math.max(bytes / pages, LEAST);
    const difference = cost - this.#bytesPerPage;
    this.#bytesPerPage += difference > 0 ? difference : difference * FALL;
  }
}
