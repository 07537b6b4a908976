import {
  MAX_KERNEL_RUN,
  PAGE_RECORD_BYTES,
  PLACE_BYTES,
  putPlace,
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

/** A guest's memory, and where it and the work memory are as the kernel knows them. */
interface OpenedRam {
  readonly pages: GuestPages;
  readonly work: number;
  readonly guest: number;
}

/**
 * How long the thread may wait for what comes next of a run and do nothing else, milliseconds. A source that keeps up has
 * something after much less; a turn of the event loop for each of its pieces would take longer than the pieces.
 */
const PATIENCE_MS = 5;

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
  readonly #places: Uint32Array;
  readonly #opened = new Map<PagesInPlace, OpenedRam>();

  /** @param kernel whose work memory has {@link EXPECTED_PARTS} left. */
  constructor(kernel: PageKernel, scattering: Scattering) {
    this.#kernel = kernel;
    this.#scattering = scattering;
    this.#words = kernel.take(EXPECTED_PARTS.words);
    this.#vector = kernel.take(EXPECTED_PARTS.vector);
    this.#rest = kernel.take(EXPECTED_PARTS.rest);
    this.#places = new Uint32Array(kernel.bytes.buffer);
  }

  /** Bytes that the next chunk has at most. */
  boundNext(bytes: number): void {
    this.#scattering.boundNext(bytes);
  }

  /** Reads what has come, and what comes soon, as far as it goes. Between two chunks, where a record begins. */
  read({ ram, offset, count }: ExpectedRun): ReadRun {
    const until = performance.now() + PATIENCE_MS;
    const opened = this.#open(ram);
    opened.pages.expectRun(offset, count, this.#words, this.#vector);
    let bytes = 0;
    // Words that are as expected, of those that have come.
    let words = 0;
    let pages = 0;
    for (;;) {
      const patience = until - performance.now();
      const came = this.#scattering.read(this.#vectorFrom(bytes, opened, offset, count), patience);
      bytes += came;
      // With that of a page which has come in part or not at all: whether it is one need not be waited for.
      const known = Math.floor((bytes + WIRE_PAGE_SIZE) / PAGE_RECORD_BYTES);
      const next = this.#words + words * WORD_BYTES;
      words += this.#kernel.countWords(next, known - words, offset + words * WIRE_PAGE_SIZE);
      pages = Math.min(words, Math.floor(bytes / PAGE_RECORD_BYTES));
      if (came === 0 || words < known || pages === count) break;
    }
    if (bytes === 0) return NOTHING;
    const rest = bytes - pages * PAGE_RECORD_BYTES;
    return { bytes, pages, rest: this.#takeOut(ram, offset, pages, rest) };
  }

  /** What is left of the vector when so many bytes were read. */
  #vectorFrom(bytes: number, { work, guest }: OpenedRam, offset: number, count: number): Uint8Array {
    const page = Math.floor(bytes / PAGE_RECORD_BYTES);
    const within = bytes % PAGE_RECORD_BYTES;
    const isWord = within < WORD_BYTES;
    const place = 2 * page + (isWord ? 0 : 1);
    if (within > 0) {
      const wordAt = work + this.#words + page * WORD_BYTES;
      const pageAt = guest + offset + page * WIRE_PAGE_SIZE;
      const address = isWord ? wordAt + within : pageAt + within - WORD_BYTES;
      const left = isWord ? WORD_BYTES - within : PAGE_RECORD_BYTES - within;
      putPlace(this.#places, this.#vector / PLACE_BYTES + place, address, left);
    }
    return this.#kernel.bytes.subarray(
      this.#vector + place * PLACE_BYTES,
      this.#vector + 2 * count * PLACE_BYTES,
    );
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

  #open(ram: PagesInPlace): OpenedRam {
    let opened = this.#opened.get(ram);
    if (opened === undefined) {
      const guest = this.#scattering.addressOf(new Uint8Array(ram.memory.buffer));
      const work = this.#scattering.addressOf(this.#kernel.bytes);
      opened = { pages: this.#kernel.openGuest(ram.memory, ram.heads, { work, guest }), work, guest };
      this.#opened.set(ram, opened);
    }
    return opened;
  }
}
