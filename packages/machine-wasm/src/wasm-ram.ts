import { MigrationError, type PageHeads, tooMuchRam } from "@peregrine/protocol";
import {
  type DirtyBitmap,
  type GuestRam,
  PAGE_SIZE,
  type PagesInPlace,
  type RamBlock,
} from "@peregrine/shared-state";
import { ArrivedPages } from "./arrived-pages.ts";
import { type DirtyLog, type LoggedMemory, newShadows, SHADOWS } from "./dirty-log.ts";
import { openDirtyLog } from "./wasm-dirty-log.ts";

const WASM_PAGE = 65536;

/** What `openRam` needs: survives structured clone between threads of a process. */
export interface WasmRamData extends LoggedMemory, WasmRamShared {
  /** Most that the memory can grow to by the program, in bytes. */
  readonly maximumBytes: number;
  /** Most that it can have on this host, in bytes. Default: the same. */
  readonly mostBytes?: number;
  /** Of the {@link ArrivedPages}, if nothing but this has written to the memory. */
  readonly arrived?: SharedArrayBuffer | undefined;
}

/** What the threads of one migration know together. */
export interface WasmRamShared {
  readonly shadows: WebAssembly.Memory;
  /** One Int32, not 0 while a thread grows the memory. */
  readonly growing: SharedArrayBuffer;
}

/** For a memory of which nothing was read. */
export function newWasmRamShared(maximumBytes: number): WasmRamShared {
  return {
    shadows: newShadows(maximumBytes),
    growing: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
  };
}

export const RAM_BLOCK_NAME = "wasm.ram";

/** The guest's linear memory as RAM block `wasm.ram`. */
export class WasmRam implements GuestRam {
  readonly blocks: readonly RamBlock[];
  readonly #memory: WebAssembly.Memory;
  readonly #log: DirtyLog;
  readonly #heads: PageHeads;
  readonly #arrived: ArrivedPages | undefined;
  readonly #growing: Int32Array;
  readonly #mostBytes: number;
  #view: Uint8Array;
  /** Pages that the last harvest knew of. */
  #harvested: number;

  /** @param openLog which dirty log is used. */
  constructor(data: WasmRamData, openLog: (memories: LoggedMemory) => DirtyLog = openDirtyLog) {
    this.blocks = [{ name: RAM_BLOCK_NAME, length: data.maximumBytes }];
    this.#memory = data.memory;
    this.#mostBytes = data.mostBytes ?? data.maximumBytes;
    this.#log = openLog(data);
    this.#heads = { memory: data.shadows, at: SHADOWS };
    this.#growing = new Int32Array(data.growing);
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

  memory(): Uint8Array {
    return this.#bytes();
  }

  harvest(into: readonly DirtyBitmap[]): number {
    const bytes = this.#bytes();
    const known = this.#harvested;
    this.#harvested = bytes.length / PAGE_SIZE;
    return this.#log.harvest(bytes, known, into[0]!);
  }

  readPages(_block: number, page: number, count: number, target: Uint8Array, at: number): void {
    this.#know(page + count);
    this.#log.read(this.#bytes(), page, count, target, at);
  }

  writePages(_block: number, offset: number, bytes: Uint8Array): void {
    const memory = this.#willWrite(offset, bytes.length / PAGE_SIZE);
    this.#log.write(memory, offset / PAGE_SIZE, bytes);
  }

  fillPages(_block: number, offset: number, count: number, value: number): void {
    this.#requireInBlock(offset, count * PAGE_SIZE);
    const first = offset / PAGE_SIZE;
    if (value === 0) this.#clear(first, first + count);
    else for (let page = first; page < first + count; page++) this.#fill(page, value);
  }

  inPlace(): PagesInPlace {
    return {
      memory: this.#memory,
      heads: this.#heads,
      reading: (page, count) => this.#know(page + count),
      unwritten: (offset, count) => this.#unwritten(offset / PAGE_SIZE, count),
      writing: (offset, count) => this.#willWrite(offset, count),
    };
  }

  #unwritten(page: number, count: number): number {
    const end = Math.min(page + count, this.#bytes().length / PAGE_SIZE);
    if (this.#arrived === undefined || page >= end) return 0;
    return this.#arrived.next(page, end) - page;
  }

  /** Memory that was never used is zero already and stays unused. */
  #clear(first: number, end: number): void {
    const stop = Math.min(end, this.#bytes().length / PAGE_SIZE);
    const next = (page: number): number => this.#arrived?.next(page, stop) ?? page;
    for (let page = next(first); page < stop; page = next(page + 1)) this.#fill(page, 0);
  }

  #fill(page: number, value: number): void {
    const offset = page * PAGE_SIZE;
    const bytes = this.#willWrite(offset, 1);
    for (let position = offset; position < offset + PAGE_SIZE; position++) {
      if (bytes[position] === value) continue;
      bytes.fill(value, offset, offset + PAGE_SIZE);
      return;
    }
  }

  /** @returns the memory, grown so that the pages lie in it. */
  #willWrite(offset: number, count: number): Uint8Array {
    const end = offset + count * PAGE_SIZE;
    this.#requireInBlock(offset, count * PAGE_SIZE);
    if (end > this.#bytes().length) {
      if (end > this.#mostBytes) throw tooMuchRam(end, this.#mostBytes);
      this.#grow(end);
    }
    this.#arrived?.add(offset / PAGE_SIZE, count);
    return this.#bytes();
  }

  #requireInBlock(offset: number, length: number): void {
    const limit = this.blocks[0]!.length;
    if (offset >= 0 && offset + length <= limit) return;
    throw new MigrationError(
      "BAD_RAM_PAGE",
      `Illegal RAM offset ${offset.toString(16)}: ${RAM_BLOCK_NAME} holds ${limit} bytes`,
    );
  }

  /** Another thread may know of more memory than this one has been told of. */
  #know(pages: number): void {
    if (pages * PAGE_SIZE > this.#bytes().length) this.#memory.grow(0);
  }

  /** Several threads may want to at once, and nothing would make a memory smaller again. */
  #grow(bytes: number): void {
    while (Atomics.exchange(this.#growing, 0, 1) !== 0) Atomics.wait(this.#growing, 0, 1);
    try {
      growMemory(this.#memory, bytes);
    } finally {
      Atomics.store(this.#growing, 0, 0);
      Atomics.notify(this.#growing, 0);
    }
  }
}

/** Makes a memory of `initial` pages that can grow to `maximum`. Errors: DEVICE_STATE when the host has no room. */
export function allocateMemory(initial: number, maximum: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial, maximum, shared: true });
  } catch (cause) {
    throw noRoom(initial * WASM_PAGE, cause);
  }
}

/** Grows a memory to at least `bytes`. Errors: DEVICE_STATE when the host has no room. */
export function growMemory(memory: WebAssembly.Memory, bytes: number): void {
  // Another thread may have grown it just now, which the buffer may not show yet.
  const missing = bytes - memory.grow(0) * WASM_PAGE;
  if (missing <= 0) return;
  try {
    memory.grow(Math.ceil(missing / WASM_PAGE));
  } catch (cause) {
    throw noRoom(bytes, cause);
  }
}

const noRoom = (bytes: number, cause: unknown): MigrationError =>
  new MigrationError("DEVICE_STATE", `A guest memory of ${bytes} bytes cannot be had on this host`, {
    cause,
  });

/** Opens the memory in another thread; see RamAccess. */
export const openRam = (data: unknown): GuestRam => new WasmRam(data as WasmRamData);
