import {
  MAX_KERNEL_RUN,
  PAGE_RECORD_BYTES,
  PLACE_BYTES,
  runBytes,
  WIRE_PAGE_SIZE,
  WORD_BYTES,
} from "@peregrine/protocol";
import type { GuestPages, PageKernel } from "@peregrine/protocol";
import type { PagesInPlace } from "@peregrine/shared-state";
import type { Scattering } from "@peregrine/transport";

/** What a kernel's work memory needs for {@link ExpectedPages}. */
export const EXPECTED_PARTS = {
  words: MAX_KERNEL_RUN * WORD_BYTES,
  vector: 2 * MAX_KERNEL_RUN * PLACE_BYTES,
  rest: runBytes(MAX_KERNEL_RUN),
} as const;

/** Pages that are expected to come next. */
export interface ExpectedRun {
  readonly ram: PagesInPlace;
  /** Of the first of them. */
  readonly offset: number;
  /** From 1 on, all of them {@link PagesInPlace.unwritten}. */
  readonly count: number;
}

/** What came where a run was expected. */
export interface ReadRun {
  /** All that was read; 0 when nothing has come. */
  readonly bytes: number;
  /** Whole records of pages as they were expected. The pages lie where they belong. */
  readonly pages: number;
  /** What came behind those, to be decoded as any bytes. Valid until more is read. */
  readonly rest: Uint8Array;
}

const NOTHING: ReadRun = { bytes: 0, pages: 0, rest: new Uint8Array() };

/**
 * Reads pages from a connection to where they belong in the guest's memory, on the expectation that they go on as they came:
 * one behind the other. Memory that was never written to can take what proves to be something else: that is taken out again
 * and leaves zeros.
 */
export class ExpectedPages {
  readonly #kernel: PageKernel;
  readonly #scattering: Scattering;
  readonly #words: number;
  readonly #vector: number;
  readonly #rest: number;
  readonly #opened = new Map<PagesInPlace, GuestPages>();

  /** @param kernel whose work memory has {@link EXPECTED_PARTS} left. */
  constructor(kernel: PageKernel, scattering: Scattering) {
    this.#kernel = kernel;
    this.#scattering = scattering;
    this.#words = kernel.take(EXPECTED_PARTS.words);
    this.#vector = kernel.take(EXPECTED_PARTS.vector);
    this.#rest = kernel.take(EXPECTED_PARTS.rest);
  }

  /** Bytes that the next chunk has at most. */
  boundNext(bytes: number): void {
    this.#scattering.boundNext(bytes);
  }

  /** Reads what has come, as far as it goes. Between two chunks, where a record begins. */
  read({ ram, offset, count }: ExpectedRun): ReadRun {
    const { bytes: work } = this.#kernel;
    this.#open(ram).expectRun(offset, count, this.#words, this.#vector);
    const bytes = this.#scattering.read(work.subarray(this.#vector, this.#vector + 2 * count * PLACE_BYTES));
    if (bytes === 0) return NOTHING;
    const pages = this.#kernel.countWords(this.#words, Math.floor(bytes / PAGE_RECORD_BYTES), offset);
    const rest = bytes - pages * PAGE_RECORD_BYTES;
    return { bytes, pages, rest: this.#takeOut(ram, offset, pages, rest) };
  }

  /** @param first of the records. @param length of them in bytes; the last one may be there in part. */
  #takeOut(ram: PagesInPlace, offset: number, first: number, length: number): Uint8Array {
    const { bytes: work } = this.#kernel;
    const guest = new Uint8Array(ram.memory.buffer);
    const rest = work.subarray(this.#rest, this.#rest + length);
    for (let n = first, at = 0; at < length; n++) {
      const wordAt = this.#words + n * WORD_BYTES;
      const word = work.subarray(wordAt, wordAt + Math.min(WORD_BYTES, length - at));
      rest.set(word, at);
      at += word.length;
      const pageAt = offset + n * WIRE_PAGE_SIZE;
      const page = guest.subarray(pageAt, pageAt + Math.min(WIRE_PAGE_SIZE, length - at));
      rest.set(page, at);
      page.fill(0);
      at += page.length;
    }
    return rest;
  }

  #open(ram: PagesInPlace): GuestPages {
    let pages = this.#opened.get(ram);
    if (pages === undefined) {
      const guest = this.#scattering.addressOf(new Uint8Array(ram.memory.buffer));
      const work = this.#scattering.addressOf(this.#kernel.bytes);
      pages = this.#kernel.openGuest(ram.memory, ram.heads, { work, guest });
      this.#opened.set(ram, pages);
    }
    return pages;
  }
}
