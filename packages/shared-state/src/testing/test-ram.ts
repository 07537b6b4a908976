import { HEAD_BYTES, illegalRamOffset } from "@peregrine/protocol";
import type { DirtyBitmap } from "../dirty-bitmap.ts";
import { PAGE_SIZE } from "../machine.ts";
import type { GuestRam, PagesInPlace, RamAccess, RamBlock } from "../machine.ts";

const WASM_PAGE = 65536;

/** What {@link openRam} takes: shared by every thread that opens it. */
export interface TestRamData {
  readonly blocks: readonly RamBlock[];
  /** Of each block, with its bytes at the beginning. */
  readonly memory: readonly WebAssembly.Memory[];
  /** Of each block, if its pages can be read and written in place: room for their heads. */
  readonly heads?: readonly WebAssembly.Memory[] | undefined;
  /** The dirty log of each block, one bit per page. */
  readonly logs: readonly SharedArrayBuffer[];
  /** Whether the log is on, then the pages in use of each block; 32-bit integers. */
  readonly control: SharedArrayBuffer;
}

const LOGGING = 0;
const FIRST_USED = 1;

/** @param inPlace whether pages can be read and written in place. */
export function newTestRam(blocks: readonly RamBlock[], inPlace = false): TestRamData {
  const heads = blocks.map(({ length }) => memoryOf((length / PAGE_SIZE) * HEAD_BYTES));
  return {
    blocks,
    memory: blocks.map((block) => memoryOf(block.length)),
    heads: inPlace ? heads : undefined,
    logs: blocks.map((block) => new SharedArrayBuffer(4 * Math.ceil(block.length / PAGE_SIZE / 32))),
    control: new SharedArrayBuffer(4 * (FIRST_USED + blocks.length)),
  };
}

function memoryOf(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / WASM_PAGE);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/** Memory of the test guest, with a dirty log of one bit per page. */
export class TestRam implements GuestRam {
  readonly blocks: readonly RamBlock[];
  readonly inPlace?: (block: number) => PagesInPlace;
  readonly #memory: readonly Uint8Array[];
  readonly #logs: readonly Int32Array[];
  readonly #control: Int32Array;

  constructor(data: TestRamData) {
    this.blocks = data.blocks;
    this.#memory = data.memory.map(
      ({ buffer }, block) => new Uint8Array(buffer, 0, data.blocks[block]!.length),
    );
    const { heads } = data;
    if (heads !== undefined)
      this.inPlace = (block) => ({
        memory: data.memory[block]!,
        heads: { memory: heads[block]!, at: 0 },
        reading: () => {},
        writing: (offset, count) => void this.#require(block, offset, count * PAGE_SIZE),
      });
    this.#logs = data.logs.map((buffer) => new Int32Array(buffer));
    this.#control = new Int32Array(data.control);
  }

  usedBytes(block: number): number {
    return this.usedPages(block) * PAGE_SIZE;
  }

  usedPages(block: number): number {
    return Atomics.load(this.#control, FIRST_USED + block);
  }

  /** Takes more pages of the block into use. Errors: BAD_RAM_PAGE when it has not so many. */
  use(block: number, pages: number): void {
    if (pages * PAGE_SIZE > this.blocks[block]!.length) throw illegalRamOffset(pages * PAGE_SIZE);
    if (pages > this.usedPages(block)) Atomics.store(this.#control, FIRST_USED + block, pages);
  }

  /** Switches the dirty log, which begins empty. */
  setLogging(on: boolean): void {
    if (on) for (const log of this.#logs) log.fill(0);
    Atomics.store(this.#control, LOGGING, on ? 1 : 0);
  }

  /** A store of the guest. */
  store(block: number, offset: number, value: number): void {
    this.#memory[block]![offset] = value;
    if (Atomics.load(this.#control, LOGGING) === 0) return;
    // After the store: a mark made before it could be harvested, and the page read, without the new byte.
    const page = Math.floor(offset / PAGE_SIZE);
    Atomics.or(this.#logs[block]!, page >>> 5, 1 << page);
  }

  load(block: number, offset: number): number {
    return this.#memory[block]![offset]!;
  }

  harvest(into: readonly DirtyBitmap[]): number {
    let fresh = 0;
    for (const [block, log] of this.#logs.entries()) {
      for (let word = 0; word < log.length; word++) {
        if (Atomics.load(log, word) === 0) continue;
        fresh += into[block]!.setWord(word, Atomics.exchange(log, word, 0) >>> 0);
      }
    }
    return fresh;
  }

  readPages(block: number, page: number, count: number, target: Uint8Array, at: number): void {
    const from = page * PAGE_SIZE;
    target.set(this.#memory[block]!.subarray(from, from + count * PAGE_SIZE), at);
  }

  writePages(block: number, offset: number, bytes: Uint8Array): void {
    this.#require(block, offset, bytes.length).set(bytes);
  }

  fillPages(block: number, offset: number, count: number, value: number): void {
    for (let at = offset; at < offset + count * PAGE_SIZE; at += PAGE_SIZE) {
      const page = this.#require(block, at, PAGE_SIZE);
      if (!page.every((byte) => byte === value)) page.fill(value);
    }
  }

  #require(block: number, offset: number, length: number): Uint8Array {
    const memory = this.#memory[block]!;
    if (offset < 0 || offset % PAGE_SIZE !== 0 || offset + length > memory.length)
      throw illegalRamOffset(offset);
    this.use(block, Math.ceil((offset + length) / PAGE_SIZE));
    return memory.subarray(offset, offset + length);
  }
}

export function openRam(data: unknown): TestRam {
  return new TestRam(data as TestRamData);
}

export function testRamAccess(data: TestRamData): RamAccess {
  return { module: import.meta.url, data };
}
