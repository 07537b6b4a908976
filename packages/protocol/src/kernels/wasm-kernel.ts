import { MigrationError } from "../errors.ts";
import { WIRE_PAGE_SIZE } from "../wire.ts";
import { kernelModule } from "./kernel-module.ts";
import { DELTAS_MODULE, GUEST_MODULE, PAGES_MODULE } from "./modules.ts";
import { PLACE_BYTES, WORD_BYTES } from "./page-kernel.ts";
import type {
  GuestPages,
  KeptPages,
  PageAddresses,
  PageHeads,
  PageKernel,
  PlaceCursor,
} from "./page-kernel.ts";
import { requireGuestPages, requireGuestZeros, WorkMemory } from "./work-memory.ts";

const WASM_PAGE = 65536;
/** Kept pages of one memory: 1 GiB of them. More are in more memories. */
const SEGMENT_PAGES = 2 ** 18;

interface SourceExports {
  encodeRun(page: number, count: number, high: number, low: number, named: number, out: number): number;
}

interface GuestExports extends SourceExports {
  encodeHeads(
    page: number,
    count: number,
    high: number,
    low: number,
    named: number,
    out: number,
    vector: number,
    from: number,
  ): number;
  gatherPages(
    page: number,
    count: number,
    high: number,
    low: number,
    words: number,
    heads: number,
    vector: number,
  ): void;
  encodeZeros(page: number, count: number, high: number, low: number, named: number, out: number): number;
  expectRun(page: number, count: number, words: number, vector: number): void;
  storeRun(at: number, count: number, page: number): void;
}

interface PagesExports extends SourceExports {
  zeroPages(page: number, count: number): number;
  packPages(page: number, count: number, high: number, low: number, words: number): void;
  countOffsets(words: number, count: number, high: number, low: number): number;
  countRun(at: number, end: number, high: number, low: number, most: number): number;
  countWords(words: number, count: number, high: number, low: number): number;
  gatherRun(at: number, count: number): void;
  applyDelta(delta: number, length: number, page: number): number;
}

interface DeltasExports {
  keep(kept: number, page: number): void;
  keepZeros(kept: number): void;
  encodeDelta(kept: number, page: number, out: number, room: number, replace: number): number;
}

/** Stands for the page when a delta is only checked. */
const NO_PAGE = -1;

/** Compiled once for each thread. */
let modules: { readonly pages: WebAssembly.Module; readonly deltas: WebAssembly.Module } | undefined;

/** The one for memory that is shared: engines can have the others without it. */
let guestModule: WebAssembly.Module | undefined;

/** Of kernels that are in use, for those that work in the same memory. */
const memories = new WeakMap<ArrayBufferLike, WebAssembly.Memory>();

/** The work memory that these bytes are in; undefined when they are in none, or in that of a twin. */
export function workMemoryOf(bytes: Uint8Array): WebAssembly.Memory | undefined {
  return memories.get(bytes.buffer);
}

/** Whether this engine has what the kernels need: vectors and several memories. */
export function hasWasmKernels(): boolean {
  if (modules !== undefined) return true;
  const pages = kernelModule(PAGES_MODULE);
  const deltas = kernelModule(DELTAS_MODULE);
  if (pages === undefined || deltas === undefined) return false;
  modules = { pages, deltas };
  return true;
}

function requireModules(): NonNullable<typeof modules> {
  if (!hasWasmKernels() || modules === undefined) {
    throw new MigrationError("INTERNAL", "this engine does not have what the kernels need");
  }
  return modules;
}

/** Compiles what {@link PageKernel.openGuest} needs in this thread, where the engine can run it. */
export function prepareGuestPages(): void {
  guestModule ??= kernelModule(GUEST_MODULE);
}

function requireGuestModule(): WebAssembly.Module {
  prepareGuestPages();
  if (guestModule !== undefined) return guestModule;
  throw new MigrationError("INTERNAL", "this engine has no shared memory for kernels");
}

/** The kernels in WebAssembly. */
export class WasmPageKernel implements PageKernel {
  readonly implementation = "wasm";
  readonly #work: WorkMemory;
  readonly #memory: WebAssembly.Memory;
  readonly #exports: PagesExports;

  /** @param bytes of work memory. Errors: INTERNAL where {@link hasWasmKernels} is false. */
  constructor(bytes: number) {
    const { pages } = requireModules();
    const initial = Math.ceil(bytes / WASM_PAGE);
    this.#memory = new WebAssembly.Memory({ initial, maximum: initial });
    this.#work = new WorkMemory(this.#memory.buffer);
    memories.set(this.#memory.buffer, this.#memory);
    const instance = new WebAssembly.Instance(pages, { work: { memory: this.#memory } });
    this.#exports = instance.exports as unknown as PagesExports;
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
    this.#work.requireOutput(offset, count, out);
    const high = Math.floor(offset / 2 ** 32);
    return this.#exports.encodeRun(page, count, high, offset | 0, named ? 1 : 0, out);
  }

  zeroPages(page: number, count: number): number {
    this.#work.requirePages(page, count);
    return this.#exports.zeroPages(page, count);
  }

  isZero(n: number): boolean {
    return ((this.#work.zeroBits[n >>> 5]! >>> (n & 31)) & 1) !== 0;
  }

  packPages(page: number, count: number, offset: number, words: number): number {
    this.#work.requirePages(page, count);
    this.#work.requireWords(offset, count, words);
    this.#exports.packPages(page, count, Math.floor(offset / 2 ** 32), offset | 0, words);
    return count - this.zeroCount;
  }

  countOffsets(words: number, count: number, offset: number): number {
    this.#work.requireWords(offset, count, words);
    return this.#exports.countOffsets(words, count, Math.floor(offset / 2 ** 32), offset | 0);
  }

  countRun(at: number, end: number, offset: number, most: number): number {
    this.#work.require(at, end - at);
    this.#work.requireRun(offset, most);
    return this.#exports.countRun(at, end, Math.floor(offset / 2 ** 32), offset | 0, most);
  }

  countWords(words: number, count: number, offset: number): number {
    this.#work.requireRun(offset, count);
    this.#work.require(words, count * WORD_BYTES);
    return this.#exports.countWords(words, count, Math.floor(offset / 2 ** 32), offset | 0);
  }

  gatherRun(at: number, count: number): Uint8Array {
    this.#work.requireRecords(at, count);
    this.#exports.gatherRun(at, count);
    return this.#work.gathered(at, count);
  }

  openGuest(memory: WebAssembly.Memory, heads: PageHeads, addresses?: PageAddresses): GuestPages {
    return new WasmGuestPages(this.#work, this.#memory, memory, heads, addresses);
  }

  applyDelta(delta: number, length: number, page: number): boolean {
    this.#work.require(delta, length);
    this.#work.require(page, WIRE_PAGE_SIZE);
    return this.#exports.applyDelta(delta, length, page) !== 0;
  }

  checkDelta(delta: number, length: number): boolean {
    this.#work.require(delta, length);
    return this.#exports.applyDelta(delta, length, NO_PAGE) !== 0;
  }

  openKeptPages(count: number): KeptPages {
    return new WasmKeptPages(count, this.#work, this.#memory);
  }
}

class WasmGuestPages implements GuestPages {
  readonly #work: WorkMemory;
  readonly #guest: WebAssembly.Memory;
  readonly #hasAddresses: boolean;
  readonly #exports: GuestExports;

  constructor(
    work: WorkMemory,
    memory: WebAssembly.Memory,
    guest: WebAssembly.Memory,
    heads: PageHeads,
    addresses: PageAddresses | undefined,
  ) {
    this.#work = work;
    this.#guest = guest;
    this.#hasAddresses = addresses !== undefined;
    const { exports } = new WebAssembly.Instance(requireGuestModule(), {
      work: { memory, address: addresses?.work ?? 0 },
      guest: { memory: guest, address: addresses?.guest ?? 0 },
      heads: { ...heads },
    });
    this.#exports = exports as unknown as GuestExports;
  }

  encodeRun(page: number, count: number, offset: number, named: boolean, out: number): number {
    this.#require(page, count, offset, out);
    const high = Math.floor(offset / 2 ** 32);
    return this.#exports.encodeRun(page, count, high, offset | 0, named ? 1 : 0, out);
  }

  encodeHeads(
    page: number,
    count: number,
    offset: number,
    named: boolean,
    out: number,
    places: PlaceCursor,
  ): number {
    this.#require(page, count, offset, out);
    const work = this.#work;
    work.requirePlaces(places, count, out, this.#hasAddresses);
    const { at, from } = places;
    const high = Math.floor(offset / 2 ** 32);
    const end = this.#exports.encodeHeads(page, count, high, offset | 0, named ? 1 : 0, out, at, from);
    places.at += 2 * PLACE_BYTES * (count - work.result[0]!);
    places.from = work.result[1]!;
    return end;
  }

  gatherPages(
    page: number,
    count: number,
    offset: number,
    words: number,
    heads: number,
    vector: number,
  ): number {
    requireGuestPages(this.#guest.buffer.byteLength, page, count);
    this.#work.requireWords(offset, count, words);
    this.#work.requireGathered(heads, vector, count, this.#hasAddresses);
    const high = Math.floor(offset / 2 ** 32);
    this.#exports.gatherPages(page, count, high, offset | 0, words, heads, vector);
    return count - this.#work.result[0]!;
  }

  encodeZeros(page: number, count: number, offset: number, named: boolean, out: number): number {
    requireGuestZeros(this.#guest.buffer.byteLength, page, count);
    this.#work.requireZeros(offset, count, out);
    const high = Math.floor(offset / 2 ** 32);
    return this.#exports.encodeZeros(page, count, high, offset | 0, named ? 1 : 0, out);
  }

  expectRun(page: number, count: number, words: number, vector: number): void {
    requireGuestPages(this.#guest.buffer.byteLength, page, count);
    this.#work.requireExpected(words, vector, count, this.#hasAddresses);
    this.#exports.expectRun(page, count, words, vector);
  }

  storeRun(at: number, count: number, page: number): void {
    this.#work.requireRecords(at, count);
    requireGuestPages(this.#guest.buffer.byteLength, page, count);
    this.#exports.storeRun(at, count, page);
  }

  #require(page: number, count: number, offset: number, out: number): void {
    requireGuestPages(this.#guest.buffer.byteLength, page, count);
    this.#work.requireOutput(offset, count, out);
  }
}

/** Some of the kept pages, in a memory of their own. */
interface Segment {
  readonly bytes: Uint8Array;
  readonly exports: DeltasExports;
}

class WasmKeptPages implements KeptPages {
  readonly #count: number;
  readonly #work: WorkMemory;
  readonly #memory: WebAssembly.Memory;
  /** Opened when the first of their pages is kept. */
  readonly #segments: (Segment | undefined)[] = [];

  constructor(count: number, work: WorkMemory, memory: WebAssembly.Memory) {
    this.#count = count;
    this.#work = work;
    this.#memory = memory;
  }

  keep(n: number, page: number): void {
    this.#work.require(page, WIRE_PAGE_SIZE);
    this.#open(n).exports.keep(placeOf(n), page);
  }

  keepZeros(n: number): void {
    this.#open(n).exports.keepZeros(placeOf(n));
  }

  keepOther(n: number, from: KeptPages, other: number): void {
    this.#open(n).bytes.set(from.bytes(other), placeOf(n));
  }

  bytes(n: number): Uint8Array {
    return this.#kept(n).bytes.subarray(placeOf(n), placeOf(n) + WIRE_PAGE_SIZE);
  }

  encodeDelta(n: number, page: number, out: number, room: number, replace: boolean): number {
    this.#work.require(page, WIRE_PAGE_SIZE);
    this.#work.require(out, room);
    return this.#kept(n).exports.encodeDelta(placeOf(n), page, out, room, replace ? 1 : 0);
  }

  #kept(n: number): Segment {
    const segment = this.#segments[Math.floor(n / SEGMENT_PAGES)];
    if (segment === undefined || n >= this.#count) {
      throw new MigrationError("INTERNAL", `no page was kept as number ${n}`);
    }
    return segment;
  }

  #open(n: number): Segment {
    const index = Math.floor(n / SEGMENT_PAGES);
    const open = this.#segments[index];
    if (open !== undefined && n < this.#count) return open;
    if (!(n >= 0 && n < this.#count)) {
      throw new MigrationError("INTERNAL", `there is no place ${n} among ${this.#count} kept pages`);
    }
    const pages = Math.min(this.#count - index * SEGMENT_PAGES, SEGMENT_PAGES);
    const initial = Math.ceil((pages * WIRE_PAGE_SIZE) / WASM_PAGE);
    const memory = new WebAssembly.Memory({ initial, maximum: initial });
    const { exports } = new WebAssembly.Instance(requireModules().deltas, {
      work: { memory: this.#memory },
      cache: { memory },
    });
    const segment = { bytes: new Uint8Array(memory.buffer), exports: exports as unknown as DeltasExports };
    this.#segments[index] = segment;
    return segment;
  }
}

/** Where a kept page is in the memory of its segment. */
function placeOf(n: number): number {
  return (n % SEGMENT_PAGES) * WIRE_PAGE_SIZE;
}
