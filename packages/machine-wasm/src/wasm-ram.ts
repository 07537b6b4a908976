import { MigrationError } from "@peregrine/protocol";
import { type DirtyBitmap, type GuestRam, PAGE_SIZE, type RamBlock } from "@peregrine/shared-state";
import { ArrivedPages } from "./arrived-pages.ts";
import type { DirtyLog, LoggedMemory } from "./dirty-log.ts";
import { openDirtyLog } from "./wasm-dirty-log.ts";

const WASM_PAGE = 65536;

/** What `openRam` needs: survives structured clone between threads of a process. */
export interface WasmRamData extends LoggedMemory {
  /** Most that the memory can grow to, in bytes. */
  readonly maximumBytes: number;
  /** Of the {@link ArrivedPages}, if nothing but this has written to the memory. */
  readonly arrived?: SharedArrayBuffer | undefined;
}

export const RAM_BLOCK_NAME = "wasm.ram";

/** The guest's linear memory as RAM block `wasm.ram`. */
export class WasmRam implements GuestRam {
  readonly blocks: readonly RamBlock[];
  readonly #memory: WebAssembly.Memory;
  readonly #log: DirtyLog;
  readonly #arrived: ArrivedPages | undefined;
  #view: Uint8Array;
  /** Pages that the last harvest knew of. */
  #harvested: number;

  /** @param openLog which dirty log is used. */
  constructor(data: WasmRamData, openLog: (memories: LoggedMemory) => DirtyLog = openDirtyLog) {
    this.blocks = [{ name: RAM_BLOCK_NAME, length: data.maximumBytes }];
    this.#memory = data.memory;
    this.#log = openLog(data);
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
    this.#log.read(this.#bytes(), page, count, target, at);
  }

  writePages(_block: number, offset: number, bytes: Uint8Array): void {
    const memory = this.#require(offset, bytes.length);
    this.#arrived?.add(offset / PAGE_SIZE, bytes.length / PAGE_SIZE);
    this.#log.write(memory, offset / PAGE_SIZE, bytes);
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
