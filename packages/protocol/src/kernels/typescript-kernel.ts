import { MigrationError } from "../errors.ts";
import { RAM_FLAG, WIRE_PAGE_SIZE } from "../wire.ts";
import { applyDelta, checkDelta, DeltaPage, encodeDelta } from "../xbzrle.ts";
import { HEAD_BYTES, PLACE_BYTES, putPlace, WORD_BYTES } from "./page-kernel.ts";
import type {
  GuestPages,
  KeptPages,
  PageAddresses,
  PageHeads,
  PageKernel,
  PlaceCursor,
} from "./page-kernel.ts";
import {
  PAGE_RECORD_BYTES,
  requireGuestPages,
  requireGuestZeros,
  WORK_PLACES,
  WorkMemory,
  ZERO_RECORD_BYTES,
} from "./work-memory.ts";

/** A run of pages of which records are made. */
interface Run {
  /** What the pages are in, and the same as words. */
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly page: number;
  readonly count: number;
  readonly offset: number;
  readonly named: boolean;
  readonly out: number;
  /** Where the heads of the pages are kept, as they go into the records. */
  readonly heads?: Uint8Array;
  /** Bytes of each page that go into its record. Default: all. */
  readonly pageBytes?: number;
  /** Called with the place of each page, and with that behind its record. */
  readonly written?: (page: number, end: number) => void;
}

/** The kernels in plain TypeScript: for engines that cannot run the others, and what those are compared with. */
export class TypeScriptPageKernel implements PageKernel {
  readonly implementation = "typescript";
  readonly #work: WorkMemory;
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #places: Uint32Array;

  /** @param bytes of work memory. */
  constructor(bytes: number) {
    const buffer = new ArrayBuffer(Math.ceil(bytes / 8) * 8);
    this.#work = new WorkMemory(buffer);
    this.#words = new Int32Array(buffer);
    this.#view = new DataView(buffer);
    this.#places = new Uint32Array(buffer);
  }

  get bytes(): Uint8Array {
    return this.#work.bytes;
  }

  get zeroCount(): number {
    return this.#work.result[0]!;
  }

  take(length: number): number {
    return this.#work.take(length);
  }

  setBlockName(name: Uint8Array): void {
    this.#work.setBlockName(name);
  }

  encodeRun(page: number, count: number, offset: number, named: boolean, out: number): number {
    this.#work.requirePages(page, count);
    return this.#encode({ bytes: this.bytes, words: this.#words, page, count, offset, named, out });
  }

  #encode(run: Run): number {
    const { bytes, words, page, count, offset, named, out, heads, pageBytes = WIRE_PAGE_SIZE } = run;
    const work = this.#work;
    work.requireOutput(offset, count, out);
    this.#forgetZeros();
    let at = out;
    for (let n = 0; n < count; n++) {
      const from = page + n * WIRE_PAGE_SIZE;
      const zero = pageIsZero(words, from);
      at = this.#putHead(at, offset + n * WIRE_PAGE_SIZE, zero, named && n === 0);
      if (zero) {
        this.#noteZero(n);
        work.bytes[at++] = 0;
        heads?.fill(0, n * HEAD_BYTES, (n + 1) * HEAD_BYTES);
      } else {
        work.bytes.set(bytes.subarray(from, from + pageBytes), at);
        heads?.set(work.bytes.subarray(at, at + HEAD_BYTES), n * HEAD_BYTES);
        at += pageBytes;
        run.written?.(from, at);
      }
    }
    return at;
  }

  /** Writes the start of a record. @returns the place behind it. */
  #putHead(at: number, offset: number, zero: boolean, named: boolean): number {
    const flags = (zero ? RAM_FLAG.zero : RAM_FLAG.page) | (named ? 0 : RAM_FLAG.continue);
    this.#putWord(at, offset + flags);
    const end = at + WORD_BYTES;
    if (!named) return end;
    const length = this.#work.countedNameBytes;
    this.bytes.copyWithin(end, WORK_PLACES.blockName, WORK_PLACES.blockName + length);
    return end + length;
  }

  #encodeZeros({ words, heads, page, count, offset, named, out }: Run): number {
    this.#work.requireZeros(offset, count, out);
    let at = out;
    let n = 0;
    for (; n < count && pageIsZero(words, page + n * WIRE_PAGE_SIZE); n++) {
      at = this.#putHead(at, offset + n * WIRE_PAGE_SIZE, true, named && n === 0);
      this.bytes[at++] = 0;
      heads?.fill(0, n * HEAD_BYTES, (n + 1) * HEAD_BYTES);
    }
    this.#work.result[0] = n;
    return at;
  }

  zeroPages(page: number, count: number): number {
    this.#work.requirePages(page, count);
    this.#forgetZeros();
    for (let n = 0; n < count; n++) if (pageIsZero(this.#words, page + n * WIRE_PAGE_SIZE)) this.#noteZero(n);
    return this.zeroCount;
  }

  isZero(n: number): boolean {
    return ((this.#work.zeroBits[n >>> 5]! >>> (n & 31)) & 1) !== 0;
  }

  packPages(page: number, count: number, offset: number, words: number): number {
    this.#work.requireWords(offset, count, words);
    this.zeroPages(page, count);
    let packed = 0;
    for (let n = 0; n < count; n++) {
      if (this.isZero(n)) continue;
      const from = page + n * WIRE_PAGE_SIZE;
      this.bytes.copyWithin(page + packed * WIRE_PAGE_SIZE, from, from + WIRE_PAGE_SIZE);
      this.#putWord(words + packed++ * WORD_BYTES, offset + n * WIRE_PAGE_SIZE);
    }
    return packed;
  }

  countOffsets(words: number, count: number, offset: number): number {
    this.#work.requireWords(offset, count, words);
    let n = 0;
    while (n < count && this.#hasWord(words + n * WORD_BYTES, offset + n * WIRE_PAGE_SIZE)) n++;
    return n;
  }

  countRun(at: number, end: number, offset: number, most: number): number {
    const { bytes } = this.#work;
    this.#work.require(at, end - at);
    this.#work.requireRun(offset, most);
    if (end - at < ZERO_RECORD_BYTES) return 0;
    let count = 0;
    if (this.#hasWord(at, offset + (RAM_FLAG.zero | RAM_FLAG.continue))) {
      for (let from = at; count < most && end - from >= ZERO_RECORD_BYTES; from += ZERO_RECORD_BYTES) {
        const word = offset + count * WIRE_PAGE_SIZE + (RAM_FLAG.zero | RAM_FLAG.continue);
        if (!this.#hasWord(from, word) || bytes[from + WORD_BYTES] !== 0) break;
        count++;
      }
      return count;
    }
    for (let from = at; count < most && end - from >= PAGE_RECORD_BYTES; from += PAGE_RECORD_BYTES) {
      if (!this.#hasWord(from, continuedPage(offset + count * WIRE_PAGE_SIZE))) break;
      count++;
    }
    return count;
  }

  countWords(words: number, count: number, offset: number): number {
    this.#work.requireRun(offset, count);
    this.#work.require(words, count * WORD_BYTES);
    let n = 0;
    while (n < count && this.#hasWord(words + n * WORD_BYTES, continuedPage(offset + n * WIRE_PAGE_SIZE)))
      n++;
    return n;
  }

  gatherRun(at: number, count: number): Uint8Array {
    this.#work.requireRecords(at, count);
    for (let n = 1; n < count; n++) {
      const body = at + n * PAGE_RECORD_BYTES + WORD_BYTES;
      this.bytes.copyWithin(at + WORD_BYTES + n * WIRE_PAGE_SIZE, body, body + WIRE_PAGE_SIZE);
    }
    return this.#work.gathered(at, count);
  }

  openGuest(memory: WebAssembly.Memory, heads: PageHeads, addresses?: PageAddresses): GuestPages {
    const bytesFor = (page: number, count: number, require = requireGuestPages): Uint8Array => {
      require(memory.buffer.byteLength, page, count);
      return new Uint8Array(memory.buffer);
    };
    const runOf = (
      page: number,
      count: number,
      require?: typeof requireGuestPages,
    ): Pick<Run, "bytes" | "words" | "heads" | "page" | "count"> => {
      const bytes = bytesFor(page, count, require);
      const first = heads.at + (page / WIRE_PAGE_SIZE) * HEAD_BYTES;
      return {
        bytes,
        words: new Int32Array(bytes.buffer),
        heads: new Uint8Array(heads.memory.buffer, first, count * HEAD_BYTES),
        page,
        count,
      };
    };
    return {
      encodeRun: (page, count, offset, named, out) =>
        this.#encode({ ...runOf(page, count), offset, named, out }),
      encodeHeads: (page, count, offset, named, out, places) => {
        const run = runOf(page, count);
        this.#work.requirePlaces(places, count, out, addresses !== undefined);
        const { work, guest } = addresses ?? { work: 0, guest: 0 };
        const written = (from: number, end: number): void => {
          this.#putPlace(places, work + places.from, end - places.from);
          this.#putPlace(places, guest + from + HEAD_BYTES, WIRE_PAGE_SIZE - HEAD_BYTES);
          places.from = end;
        };
        return this.#encode({ ...run, offset, named, out, pageBytes: HEAD_BYTES, written });
      },
      gatherPages: (page, count, offset, words, headsAt, vector) => {
        const run = runOf(page, count);
        this.#work.requireWords(offset, count, words);
        this.#work.requireGathered(headsAt, vector, count, addresses !== undefined);
        const { work, guest } = addresses ?? { work: 0, guest: 0 };
        const places = { at: vector, from: 0 };
        this.#forgetZeros();
        let gathered = 0;
        for (let n = 0; n < count; n++) {
          const from = page + n * WIRE_PAGE_SIZE;
          const kept = run.heads!.subarray(n * HEAD_BYTES, (n + 1) * HEAD_BYTES);
          if (pageIsZero(run.words, from)) {
            this.#noteZero(n);
            kept.fill(0);
            continue;
          }
          const head = headsAt + gathered * HEAD_BYTES;
          this.#putWord(words + gathered++ * WORD_BYTES, offset + n * WIRE_PAGE_SIZE);
          this.bytes.set(run.bytes.subarray(from, from + HEAD_BYTES), head);
          kept.set(this.bytes.subarray(head, head + HEAD_BYTES));
          this.#putPlace(places, work + head, HEAD_BYTES);
          this.#putPlace(places, guest + from + HEAD_BYTES, WIRE_PAGE_SIZE - HEAD_BYTES);
        }
        return gathered;
      },
      encodeZeros: (page, count, offset, named, out) =>
        this.#encodeZeros({ ...runOf(page, count, requireGuestZeros), offset, named, out }),
      expectRun: (page, count, words, vector) => {
        requireGuestPages(memory.buffer.byteLength, page, count);
        this.#work.requireExpected(words, vector, count, addresses !== undefined);
        const { work, guest } = addresses ?? { work: 0, guest: 0 };
        const places = { at: vector, from: 0 };
        for (let n = 0; n < count; n++) {
          this.#putPlace(places, work + words + n * WORD_BYTES, WORD_BYTES);
          this.#putPlace(places, guest + page + n * WIRE_PAGE_SIZE, WIRE_PAGE_SIZE);
        }
      },
      storeRun: (at, count, page) => {
        this.#work.requireRecords(at, count);
        const bytes = bytesFor(page, count);
        for (let n = 0; n < count; n++) {
          const body = at + n * PAGE_RECORD_BYTES + WORD_BYTES;
          bytes.set(this.bytes.subarray(body, body + WIRE_PAGE_SIZE), page + n * WIRE_PAGE_SIZE);
        }
      },
    };
  }

  applyDelta(delta: number, length: number, page: number): boolean {
    const { bytes } = this.#work;
    this.#work.require(delta, length);
    this.#work.require(page, WIRE_PAGE_SIZE);
    return applyDelta(bytes.subarray(delta, delta + length), bytes.subarray(page, page + WIRE_PAGE_SIZE));
  }

  checkDelta(delta: number, length: number): boolean {
    this.#work.require(delta, length);
    return checkDelta(this.bytes.subarray(delta, delta + length), WIRE_PAGE_SIZE);
  }

  openKeptPages(count: number): KeptPages {
    return new TypeScriptKeptPages(count, this.#work);
  }

  #forgetZeros(): void {
    this.#work.zeroBits.fill(0);
    this.#work.result[0] = 0;
  }

  #noteZero(n: number): void {
    this.#work.zeroBits[n >>> 5]! |= 1 << n;
    this.#work.result[0]!++;
  }

  #putPlace(places: PlaceCursor, address: number, length: number): void {
    putPlace(this.#places, places.at / PLACE_BYTES, address, length);
    places.at += PLACE_BYTES;
  }

  #putWord(at: number, word: number): void {
    this.#view.setUint32(at, Math.floor(word / 2 ** 32));
    this.#view.setUint32(at + 4, word % 2 ** 32);
  }

  #hasWord(at: number, word: number): boolean {
    return (
      this.#view.getUint32(at + 4) === word % 2 ** 32 &&
      this.#view.getUint32(at) === Math.floor(word / 2 ** 32)
    );
  }
}

/** The word of a page that continues a block. */
function continuedPage(offset: number): number {
  return offset + (RAM_FLAG.page | RAM_FLAG.continue);
}

function pageIsZero(words: Int32Array, page: number): boolean {
  const end = (page + WIRE_PAGE_SIZE) / 4;
  for (let word = page / 4; word < end; word++) if (words[word] !== 0) return false;
  return true;
}

class TypeScriptKeptPages implements KeptPages {
  readonly #count: number;
  readonly #work: WorkMemory;
  readonly #pages: (DeltaPage | undefined)[] = [];

  constructor(count: number, work: WorkMemory) {
    this.#count = count;
    this.#work = work;
  }

  keep(n: number, page: number): void {
    this.#work.require(page, WIRE_PAGE_SIZE);
    this.#open(n).bytes.set(this.#work.bytes.subarray(page, page + WIRE_PAGE_SIZE));
  }

  keepZeros(n: number): void {
    this.#open(n).bytes.fill(0);
  }

  keepOther(n: number, from: KeptPages, other: number): void {
    this.#open(n).bytes.set(from.bytes(other));
  }

  bytes(n: number): Uint8Array {
    return this.#kept(n).bytes;
  }

  encodeDelta(n: number, page: number, out: number, room: number, replace: boolean): number {
    this.#work.require(page, WIRE_PAGE_SIZE);
    this.#work.require(out, room);
    const kept = this.#kept(n);
    const { bytes } = this.#work;
    const next = new DeltaPage(bytes.subarray(page, page + WIRE_PAGE_SIZE));
    const length = encodeDelta(kept, next, bytes.subarray(out, out + room));
    if (replace) kept.bytes.set(next.bytes);
    return length;
  }

  #kept(n: number): DeltaPage {
    const kept = this.#pages[n];
    if (kept === undefined) throw new MigrationError("INTERNAL", `no page was kept as number ${n}`);
    return kept;
  }

  #open(n: number): DeltaPage {
    if (!(n >= 0 && n < this.#count)) {
      throw new MigrationError("INTERNAL", `there is no place ${n} among ${this.#count} kept pages`);
    }
    return (this.#pages[n] ??= new DeltaPage(new Uint8Array(WIRE_PAGE_SIZE)));
  }
}
