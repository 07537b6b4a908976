import { MigrationError } from "@peregrine/protocol";
import { type DirtyBitmap, type GuestRam, PAGE_SIZE, type RamBlock } from "@peregrine/shared-state";
import { ArrivedPages } from "./arrived-pages.ts";
import { CONTROL } from "./rewrite/control-layout.ts";

const WASM_PAGE = 65536;
/** The widest store is 16 bytes: one that crosses into a page changes at most its first 15. */
const SHADOW_BYTES = 16;

/** What `openRam` needs: survives structured clone between threads of a process. */
export interface WasmRamData {
  readonly memory: WebAssembly.Memory;
  readonly control: WebAssembly.Memory;
  /** Most that the memory can grow to, in bytes. */
  readonly maximumBytes: number;
  /** Of the {@link ArrivedPages}, if nothing but this has written to the memory. */
  readonly arrived?: SharedArrayBuffer | undefined;
}

export const RAM_BLOCK_NAME = "wasm.ram";

/**
 * The guest's linear memory as RAM block `wasm.ram`.
 *
 * The dirty log is a byte per page in the control memory, set by the guest after each store. A store is marked by the page it
 * begins in. When it crosses into the next page, the bytes it changed there are among the first 15, so a page behind
 * a dirty one is compared with the first 16 bytes that were last read of it.
 */
export class WasmRam implements GuestRam {
  readonly blocks: readonly RamBlock[];
  readonly #memory: WebAssembly.Memory;
  readonly #markWords: Int32Array;
  readonly #arrived: ArrivedPages | undefined;
  #view: Uint8Array;
  #shadow = new Uint8Array(0);
  /** Pages that the last harvest knew of. */
  #harvested: number;

  constructor(data: WasmRamData) {
    this.blocks = [{ name: RAM_BLOCK_NAME, length: data.maximumBytes }];
    this.#memory = data.memory;
    this.#markWords = new Int32Array(data.control.buffer, CONTROL.dirtyMap, CONTROL.dirtyMapBytes / 4);
    if (data.arrived !== undefined) this.#arrived = new ArrivedPages(data.arrived);
    this.#view = new Uint8Array(data.memory.buffer);
    this.#harvested = this.#view.length / PAGE_SIZE;
  }

  usedBytes(): number {
    return this.#bytes().length;
  }

  /** The present memory: its buffer is another object after the guest grew it. */
  #bytes(): Uint8Array {
    const { buffer } = this.#memory;
    if (buffer.byteLength !== this.#view.length) this.#view = new Uint8Array(buffer);
    return this.#view;
  }

  harvest(into: readonly DirtyBitmap[]): number {
    const bitmap = into[0]!;
    const bytes = this.#bytes();
    const pages = bytes.length / PAGE_SIZE;
    const words = this.#markWords;
    let added = 0;
    // A store that crossed into memory which the last harvest did not know of yet has had its mark taken.
    if (pages > this.#harvested && this.#startChanged(bytes, this.#harvested) && bitmap.set(this.#harvested))
      added++;
    this.#harvested = pages;
    for (let word = 0; word < pages / 4; word++) {
      if (words[word] === 0) continue;
      // An atomic exchange: no mark is lost, and no page is read before its mark is taken.
      const marks = Atomics.exchange(words, word, 0);
      for (let n = 0; n < 4; n++) {
        if (((marks >>> (8 * n)) & 0xff) === 0) continue;
        const page = word * 4 + n;
        if (bitmap.set(page)) added++;
        if (page + 1 < pages && this.#startChanged(bytes, page + 1) && bitmap.set(page + 1)) added++;
      }
    }
    return added;
  }

  #startChanged(bytes: Uint8Array, page: number): boolean {
    const shadow = page * SHADOW_BYTES;
    const start = page * PAGE_SIZE;
    for (let n = 0; n < SHADOW_BYTES; n++)
      if (bytes[start + n] !== (this.#shadow[shadow + n] ?? 0)) return true;
    return false;
  }

  readPages(_block: number, page: number, count: number, target: Uint8Array, at: number): void {
    const start = page * PAGE_SIZE;
    target.set(this.#bytes().subarray(start, start + count * PAGE_SIZE), at);
    this.#reserveShadow(page + count);
    for (let n = 0; n < count; n++) {
      const from = at + n * PAGE_SIZE;
      this.#shadow.set(target.subarray(from, from + SHADOW_BYTES), (page + n) * SHADOW_BYTES);
    }
  }

  #reserveShadow(pages: number): void {
    if (this.#shadow.length >= pages * SHADOW_BYTES) return;
    const used = this.#bytes().length / PAGE_SIZE;
    const grown = new Uint8Array(Math.max(pages, used) * SHADOW_BYTES);
    grown.set(this.#shadow);
    this.#shadow = grown;
  }

  writePages(_block: number, offset: number, bytes: Uint8Array): void {
    const memory = this.#require(offset, bytes.length);
    this.#arrived?.add(offset / PAGE_SIZE, bytes.length / PAGE_SIZE);
    memory.set(bytes, offset);
  }

  fillPage(_block: number, offset: number, value: number): void {
    // Memory that was never used is zero already and stays unused.
    if (value === 0 && offset >= this.#bytes().length) return;
    const bytes = this.#require(offset, PAGE_SIZE);
    if (this.#arrived !== undefined) {
      if (value === 0 && !this.#arrived.has(offset / PAGE_SIZE)) return;
      this.#arrived.add(offset / PAGE_SIZE, 1);
    }
    for (let position = offset; position < offset + PAGE_SIZE; position++) {
      if (bytes[position] === value) continue;
      bytes.fill(value, offset, offset + PAGE_SIZE);
      return;
    }
  }

  /** Grows the memory so that the range lies in it. */
  #require(offset: number, length: number): Uint8Array {
    const limit = this.blocks[0]!.length;
    const end = offset + length;
    if (!(offset >= 0 && end <= limit))
      throw new MigrationError(
        "BAD_RAM_PAGE",
        `Illegal RAM offset ${offset.toString(16)}: ${RAM_BLOCK_NAME} holds ${limit} bytes`,
      );
    const missing = end - this.#bytes().length;
    if (missing > 0) growMemory(this.#memory, end);
    return this.#bytes();
  }
}

/** Grows a memory to at least `bytes`. Errors: DEVICE_STATE when the host has no room. */
export function growMemory(memory: WebAssembly.Memory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing <= 0) return;
  try {
    memory.grow(Math.ceil(missing / WASM_PAGE));
  } catch (cause) {
    throw new MigrationError(
      "DEVICE_STATE",
      `The guest's memory of ${bytes} bytes cannot be had on this host`,
      { cause },
    );
  }
}

/** Opens the memory in another thread; see RamAccess. */
export const openRam = (data: unknown): GuestRam => new WasmRam(data as WasmRamData);
