import type Koffi from "koffi";

/** Advices of Linux's `madvise`: `MADV_HUGEPAGE`, `MADV_POPULATE_WRITE`. */
const HUGE_PAGES = 14;
const POPULATE = 23;

interface MemoryCalls {
  advise(memory: Uint8Array, bytes: number, advice: number): number;
  /** In another thread. */
  adviseAside(memory: Uint8Array, bytes: number, advice: number): Promise<number>;
}

let calls: Promise<MemoryCalls | undefined> | undefined;
let loaded: MemoryCalls | undefined;

/**
 * Asks the kernel for huge pages behind a memory: it hands out memory in pieces of 2 MiB then, which takes a fraction of
 * the time where much is written to for the first time, and whoever uses it finds its pages faster. Where that cannot
 * be had, nothing happens.
 * @param memory begins at a page of the host.
 * @param bytes from its beginning; may be more than it has now, if it can grow in its place.
 */
export async function adviseHugePages(memory: Uint8Array, bytes: number = memory.length): Promise<void> {
  // An advice that the kernel does not take is none the worse.
  (await load())?.advise(memory, bytes, HUGE_PAGES);
}

/**
 * Has the kernel give memory for a range that was not written to yet, in another thread: the first write to a page takes
 * much longer than the copy of what is written. What has been written already stays as it is.
 * @param memory begins at a page of the host, and is kept until the promise resolves.
 * @returns whether it was given.
 */
export async function giveMemory(memory: Uint8Array): Promise<boolean> {
  return (await (await load())?.adviseAside(memory, memory.length, POPULATE)) === 0;
}

/**
 * As {@link giveMemory}, in this thread, which waits for it.
 * @returns undefined before {@link prepareMemoryAdvice} has resolved, and where nothing can be asked of the kernel.
 */
export function giveMemoryHere(memory: Uint8Array): boolean | undefined {
  return loaded === undefined ? undefined : loaded.advise(memory, memory.length, POPULATE) === 0;
}

/** Loads what the others need, so that the first of them is not kept waiting. */
export async function prepareMemoryAdvice(): Promise<void> {
  loaded = await load();
}

function load(): Promise<MemoryCalls | undefined> {
  calls ??= open();
  return calls;
}

async function open(): Promise<MemoryCalls | undefined> {
  if (process.platform !== "linux") return undefined;
  let koffi: typeof Koffi;
  try {
    ({ default: koffi } = await import("koffi"));
  } catch {
    return undefined;
  }
  const madvise = koffi.load(null).func("int madvise(void *address, size_t length, int advice)");
  return {
    advise: (memory, bytes, advice) => madvise(memory, bytes, advice) as number,
    adviseAside: (memory, bytes, advice) =>
      new Promise((resolve, reject) => {
        madvise.async(memory, bytes, advice, (error: Error | null, result: number) => {
          if (error) reject(error);
          else resolve(result);
        });
      }),
  };
}
