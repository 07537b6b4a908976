import { MigrationError } from "../errors.ts";
import { RAM_FLAG, WIRE_PAGE_SIZE } from "../wire.ts";
import { applyDelta, checkDelta, DeltaPage, encodeDelta } from "../xbzrle.ts";
import type { KeptPages, PageKernel } from "./page-kernel.ts";
import { PAGE_RECORD_BYTES, runBytes, WORK_PLACES, WorkMemory, ZERO_RECORD_BYTES } from "./work-memory.ts";

const WORD_BYTES = 8;

/** The kernels in plain TypeScript: for engines that cannot run the others, and what those are compared with. */
export class TypeScriptPageKernel implements PageKernel {
  readonly implementation = "typescript";
  readonly #work: WorkMemory;
  readonly #words: Int32Array;
  readonly #view: DataView;
  #zeroCount = 0;

  /** @param bytes of work memory. */
  constructor(bytes: number) {
    const buffer = new ArrayBuffer(Math.ceil(bytes / 8) * 8);
    this.#work = new WorkMemory(buffer);
    this.#words = new Int32Array(buffer);
    this.#view = new DataView(buffer);
  }

  get bytes(): Uint8Array {
    return this.#work.bytes;
  }

  get zeroCount(): number {
    return this.#zeroCount;
  }

  take(length: number): number {
    return this.#work.take(length);
  }

  setBlockName(name: Uint8Array): void {
    this.#work.setBlockName(name);
  }

  encodeRun(page: number, count: number, offset: number, named: boolean, out: number): number {
    const work = this.#work;
    work.requirePages(page, count);
    work.requireRun(offset, count);
    work.require(out, runBytes(count));
    this.#zeroCount = 0;
    let at = out;
    for (let n = 0; n < count; n++) {
      const from = page + n * WIRE_PAGE_SIZE;
      const zero = this.#pageIsZero(from);
      const withName = named && n === 0;
      const flags = (zero ? RAM_FLAG.zero : RAM_FLAG.page) | (withName ? 0 : RAM_FLAG.continue);
      this.#putWord(at, offset + n * WIRE_PAGE_SIZE + flags);
      at += WORD_BYTES;
      if (withName) {
        const length = work.countedNameBytes;
        work.bytes.copyWithin(at, WORK_PLACES.blockName, WORK_PLACES.blockName + length);
        at += length;
      }
      if (zero) {
        this.#zeroCount++;
        work.bytes[at++] = 0;
      } else {
        work.bytes.copyWithin(at, from, from + WIRE_PAGE_SIZE);
        at += WIRE_PAGE_SIZE;
      }
    }
    return at;
  }

  zeroPages(page: number, count: number): number {
    const { result } = this.#work;
    this.#work.requirePages(page, count);
    result.fill(0);
    this.#zeroCount = 0;
    for (let n = 0; n < count; n++) {
      if (!this.#pageIsZero(page + n * WIRE_PAGE_SIZE)) continue;
      result[n >>> 5]! |= 1 << n;
      this.#zeroCount++;
    }
    return this.#zeroCount;
  }

  isZero(n: number): boolean {
    return ((this.#work.result[n >>> 5]! >>> (n & 31)) & 1) !== 0;
  }

  decodeRun(at: number, end: number, offset: number, most: number): number {
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
      const word = offset + count * WIRE_PAGE_SIZE + (RAM_FLAG.page | RAM_FLAG.continue);
      if (!this.#hasWord(from, word)) break;
      const to = at + WORD_BYTES + count * WIRE_PAGE_SIZE;
      if (count > 0) bytes.copyWithin(to, from + WORD_BYTES, from + PAGE_RECORD_BYTES);
      count++;
    }
    return count;
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

  #pageIsZero(page: number): boolean {
    const words = this.#words;
    const end = (page + WIRE_PAGE_SIZE) >>> 2;
    for (let word = page >>> 2; word < end; word++) if (words[word] !== 0) return false;
    return true;
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
