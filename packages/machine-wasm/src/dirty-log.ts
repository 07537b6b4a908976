import { HEAD_BYTES } from "@peregrine/protocol";
import { type DirtyBitmap, PAGE_SIZE } from "@peregrine/shared-state";
import { CONTROL } from "./rewrite/control-layout.ts";

/** The widest store is 16 bytes: one that crosses into a page changes at most its first 15. */
const SHADOW_BYTES = HEAD_BYTES;
/** Where the shadows begin in their memory: behind a bit for each page that a memory can have, which a harvest uses. */
export const SHADOWS = 0x20000;

const WASM_PAGE = 65536;

/** The memories of a guest. All pages are such of 4 KiB. */
export interface LoggedMemory {
  readonly memory: WebAssembly.Memory;
  readonly control: WebAssembly.Memory;
  /** See {@link newShadows}. */
  readonly shadows: WebAssembly.Memory;
}

/** For the shadows of a memory of which nothing was read. What is never used of it takes no memory. */
export function newShadows(maximumBytes: number): WebAssembly.Memory {
  const pages = Math.ceil((SHADOWS + (maximumBytes / PAGE_SIZE) * SHADOW_BYTES) / WASM_PAGE);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/**
 * The dirty log of a guest: a byte per page in the control memory, set by the guest after each store. A store is marked by the
 * page it begins in. When it crosses into the next page, the bytes it changed there are among the first 15, so a page
 * behind a dirty one is compared with the first 16 bytes that were last read of it, its *shadow*, by whatever thread. What
 * was never read counts as zero. So there is no harvest while another thread has pages to read.
 *
 * Pages are read through it, because their shadows are kept then, or in place by who keeps them. They are written through it because it has a fast way.
 */
export interface DirtyLog {
  /**
   * Takes the marks and sets the bits of the pages that were written to.
   * @param bytes the guest's memory as it is known now.
   * @param known pages that the last harvest knew of.
   * @returns how many bits were clear before.
   */
  harvest(bytes: Uint8Array, known: number, into: DirtyBitmap): number;
  /** Copies pages out of `bytes`, and keeps their shadows. */
  read(bytes: Uint8Array, page: number, count: number, target: Uint8Array, at: number): void;
  /** Copies whole pages into `bytes`, the guest's memory, from page `page` on. It sets no mark. */
  write(bytes: Uint8Array, page: number, pages: Uint8Array): void;
}

/** The dirty log in plain TypeScript: for engines that cannot run the kernel, and what that is compared with. */
export class TypeScriptDirtyLog implements DirtyLog {
  readonly #words: Int32Array;
  readonly #shadow: Uint8Array;

  constructor({ control, shadows }: LoggedMemory) {
    this.#shadow = new Uint8Array(shadows.buffer, SHADOWS);
    this.#words = new Int32Array(control.buffer, CONTROL.dirtyMap, CONTROL.dirtyMapBytes / 4);
  }

  harvest(bytes: Uint8Array, known: number, into: DirtyBitmap): number {
    const pages = bytes.length / PAGE_SIZE;
    const words = this.#words;
    let added = 0;
    // A store that crossed into memory which the last harvest did not know of yet has had its mark taken.
    if (pages > known && this.#startChanged(bytes, known) && into.set(known)) added++;
    for (let word = 0; word < pages / 4; word++) {
      if (words[word] === 0) continue;
      // An atomic exchange: no mark is lost, and no page is read before its mark is taken.
      const marks = Atomics.exchange(words, word, 0);
      for (let n = 0; n < 4; n++) {
        if (((marks >>> (8 * n)) & 0xff) === 0) continue;
        const page = word * 4 + n;
        if (into.set(page)) added++;
        if (page + 1 < pages && this.#startChanged(bytes, page + 1) && into.set(page + 1)) added++;
      }
    }
    return added;
  }

  read(bytes: Uint8Array, page: number, count: number, target: Uint8Array, at: number): void {
    const start = page * PAGE_SIZE;
    target.set(bytes.subarray(start, start + count * PAGE_SIZE), at);
    for (let n = 0; n < count; n++) {
      const from = at + n * PAGE_SIZE;
      this.#shadow.set(target.subarray(from, from + SHADOW_BYTES), (page + n) * SHADOW_BYTES);
    }
  }

  write(bytes: Uint8Array, page: number, pages: Uint8Array): void {
    bytes.set(pages, page * PAGE_SIZE);
  }

  #startChanged(bytes: Uint8Array, page: number): boolean {
    const shadow = page * SHADOW_BYTES;
    const start = page * PAGE_SIZE;
    for (let n = 0; n < SHADOW_BYTES; n++) if (bytes[start + n] !== this.#shadow[shadow + n]) return true;
    return false;
  }
}
