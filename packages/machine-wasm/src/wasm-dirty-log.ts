import { kernelModule } from "@peregrine/protocol";
import { type DirtyBitmap, PAGE_SIZE } from "@peregrine/shared-state";
import { type DirtyLog, type LoggedMemory, TypeScriptDirtyLog } from "./dirty-log.ts";
import { HARVEST_MODULE } from "./harvest-module.ts";
import { CONTROL } from "./rewrite/control-layout.ts";

const WASM_PAGE = 65536;
/** Where the shadows begin in the kernel's own memory: behind a bit for each page that a memory can have. */
const SHADOWS = 0x20000;
const SHADOW_BYTES = 16;
const LARGEST_OWN_PAGES = (SHADOWS + CONTROL.dirtyMapBytes * SHADOW_BYTES) / WASM_PAGE;

interface HarvestExports {
  harvest(marks: number, pages: number, known: number): void;
  remember(page: number, count: number): void;
}

/** Compiled once for each thread; null where the engine cannot run it. */
let compiled: WebAssembly.Module | null | undefined;

/** The dirty log by the kernel where the engine can run it. */
export function openDirtyLog(memories: LoggedMemory): DirtyLog {
  compiled ??= kernelModule(HARVEST_MODULE) ?? null;
  return compiled === null ? new TypeScriptDirtyLog(memories) : new WasmDirtyLog(compiled, memories);
}

/**
 * The dirty log as a kernel that has the guest's memories. It looks at 16 marks at once, and only takes those that are
 * set.
 */
class WasmDirtyLog implements DirtyLog {
  readonly #exports: HarvestExports;
  readonly #own = new WebAssembly.Memory({ initial: SHADOWS / WASM_PAGE, maximum: LARGEST_OWN_PAGES });
  #bits = new Int32Array(this.#own.buffer, 0, SHADOWS / 4);
  #shadowed = 0;

  constructor(module: WebAssembly.Module, { memory, control }: LoggedMemory) {
    const { exports } = new WebAssembly.Instance(module, {
      own: { memory: this.#own },
      control: { memory: control },
      guest: { memory },
    });
    this.#exports = exports as unknown as HarvestExports;
  }

  harvest(bytes: Uint8Array, known: number, into: DirtyBitmap): number {
    const pages = bytes.length / PAGE_SIZE;
    this.#exports.harvest(CONTROL.dirtyMap, pages, known);
    const bits = this.#bits;
    let added = 0;
    for (let word = 0; word < pages / 32; word++)
      if (bits[word] !== 0) added += into.setWord(word, bits[word]! >>> 0);
    return added;
  }

  /**
   * The shadow is taken first. What the guest writes in between is in the copy and not in the shadow, so that the page is found
   * changed by the next harvest that looks: it is sent once more, and nothing is lost.
   */
  read(bytes: Uint8Array, page: number, count: number, target: Uint8Array, at: number): void {
    this.#reserve(page + count, bytes);
    this.#exports.remember(page, count);
    const start = page * PAGE_SIZE;
    target.set(bytes.subarray(start, start + count * PAGE_SIZE), at);
  }

  #reserve(pages: number, bytes: Uint8Array): void {
    if (this.#shadowed >= pages) return;
    const wanted = SHADOWS + Math.max(pages, bytes.length / PAGE_SIZE) * SHADOW_BYTES;
    const { buffer } = this.#own;
    if (wanted > buffer.byteLength) {
      this.#own.grow(Math.ceil((wanted - buffer.byteLength) / WASM_PAGE));
      this.#bits = new Int32Array(this.#own.buffer, 0, SHADOWS / 4);
    }
    this.#shadowed = (this.#own.buffer.byteLength - SHADOWS) / SHADOW_BYTES;
  }
}
