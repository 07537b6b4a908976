import { WIRE_PAGE_SIZE } from "../wire.ts";
import { openPageKernel } from "./open-page-kernel.ts";
import type { PageKernel } from "./page-kernel.ts";
import { workMemoryBytes } from "./work-memory.ts";

/**
 * A page in a kernel's work memory, for a delta to be applied to. Nothing of it is of use after the call that it was used in,
 * so a thread has one for all its decoders.
 */
export class DeltaScratch {
  static #ofThread: DeltaScratch | undefined;

  /** The page. */
  readonly page: Uint8Array;
  readonly #kernel: PageKernel;
  readonly #pageAt: number;
  readonly #deltaAt: number;

  constructor() {
    this.#kernel = openPageKernel(workMemoryBytes([WIRE_PAGE_SIZE, WIRE_PAGE_SIZE]));
    this.#pageAt = this.#kernel.take(WIRE_PAGE_SIZE);
    this.#deltaAt = this.#kernel.take(WIRE_PAGE_SIZE);
    this.page = this.#kernel.bytes.subarray(this.#pageAt, this.#pageAt + WIRE_PAGE_SIZE);
  }

  static get ofThread(): DeltaScratch {
    return (this.#ofThread ??= new DeltaScratch());
  }

  /**
   * Takes a delta of at most a page.
   * @returns whether it keeps its format and stays in a page. Only then it may be applied.
   */
  take(delta: Uint8Array): boolean {
    this.#kernel.bytes.set(delta, this.#deltaAt);
    return this.#kernel.checkDelta(this.#deltaAt, delta.length);
  }

  /** Applies the delta that was taken last, of this length, to {@link page}. */
  apply(length: number): void {
    this.#kernel.applyDelta(this.#deltaAt, length, this.#pageAt);
  }
}
