import { kernelModule, workMemoryOf } from "@peregrine/protocol";
import { type DirtyBitmap, PAGE_SIZE } from "@peregrine/shared-state";
import { type DirtyLog, type LoggedMemory, SHADOWS, TypeScriptDirtyLog } from "./dirty-log.ts";
import { GUEST_COPY_MODULE, HARVEST_MODULE } from "./kernel-modules.ts";
import { CONTROL } from "./rewrite/control-layout.ts";

interface HarvestExports {
  harvest(marks: number, pages: number, known: number): void;
  remember(page: number, count: number): void;
}

interface CopyExports {
  read(page: number, count: number, to: number): void;
  write(page: number, count: number, from: number): void;
}

interface Modules {
  readonly harvest: WebAssembly.Module;
  readonly copy: WebAssembly.Module;
}

/** Compiled once for each thread; null where the engine cannot run them. */
let compiled: Modules | null | undefined;

function compile(): Modules | null {
  const harvest = kernelModule(HARVEST_MODULE);
  const copy = kernelModule(GUEST_COPY_MODULE);
  return harvest === undefined || copy === undefined ? null : { harvest, copy };
}

/** The dirty log by the kernel where the engine can run it. */
export function openDirtyLog(memories: LoggedMemory): DirtyLog {
  compiled ??= compile();
  return compiled === null ? new TypeScriptDirtyLog(memories) : new WasmDirtyLog(compiled, memories);
}

/**
 * The dirty log as a kernel that has the guest's memories. It looks at 16 marks at once, and only takes those that are
 * set.
 */
class WasmDirtyLog implements DirtyLog {
  readonly #exports: HarvestExports;
  readonly #copyModule: WebAssembly.Module;
  readonly #memory: WebAssembly.Memory;
  readonly #shadows: WebAssembly.Memory;
  readonly #bits: Int32Array;
  /** By the work memory's buffer: of these a thread has few. */
  readonly #copies = new WeakMap<ArrayBufferLike, CopyExports>();

  constructor({ harvest, copy }: Modules, { memory, control, shadows }: LoggedMemory) {
    this.#memory = memory;
    this.#shadows = shadows;
    this.#bits = new Int32Array(shadows.buffer, 0, SHADOWS / 4);
    this.#copyModule = copy;
    const { exports } = new WebAssembly.Instance(harvest, {
      shadows: { memory: shadows },
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

  read(bytes: Uint8Array, page: number, count: number, target: Uint8Array, at: number): void {
    const end = (page + count) * PAGE_SIZE;
    const copy = this.#copyFor(target);
    if (copy !== undefined && end <= bytes.length && at >= 0 && at + count * PAGE_SIZE <= target.length) {
      copy.read(page, count, target.byteOffset + at);
      return;
    }
    // The shadow is taken first. What the guest writes in between is in the copy and not in the shadow, so that the page is
    // found changed by the next harvest that looks: it is sent once more, and nothing is lost.
    this.#exports.remember(page, count);
    target.set(bytes.subarray(page * PAGE_SIZE, end), at);
  }

  write(bytes: Uint8Array, page: number, pages: Uint8Array): void {
    const copy = this.#copyFor(pages);
    const isWhole = Number.isInteger(page) && pages.length % PAGE_SIZE === 0;
    if (copy !== undefined && isWhole && page * PAGE_SIZE + pages.length <= bytes.length)
      copy.write(page, pages.length / PAGE_SIZE, pages.byteOffset);
    else bytes.set(pages, page * PAGE_SIZE);
  }

  /** Undefined when the bytes are in no work memory. */
  #copyFor(bytes: Uint8Array): CopyExports | undefined {
    const { buffer } = bytes;
    const known = this.#copies.get(buffer);
    if (known !== undefined) return known;
    const work = workMemoryOf(bytes);
    if (work === undefined) return undefined;
    const instance = new WebAssembly.Instance(this.#copyModule, {
      shadows: { memory: this.#shadows },
      guest: { memory: this.#memory },
      work: { memory: work },
    });
    const copy = instance.exports as unknown as CopyExports;
    this.#copies.set(buffer, copy);
    return copy;
  }
}
