import type Koffi from "koffi";

/** `MADV_HUGEPAGE` of Linux. */
const ADVISE_HUGE_PAGES = 14;

let advise: Promise<((memory: Uint8Array, bytes: number) => void) | undefined> | undefined;

/**
 * Asks the kernel for huge pages behind a memory: it hands out memory in pieces of 2 MiB then, which takes a fraction of
 * the time where much is written to for the first time, and the guest finds its pages faster. Where that cannot be had,
 * nothing happens.
 * @param bytes from its beginning; may be more than it has now.
 */
export async function adviseHugePages(memory: WebAssembly.Memory, bytes: number): Promise<void> {
  advise ??= load();
  (await advise)?.(new Uint8Array(memory.buffer), bytes);
}

async function load(): Promise<((memory: Uint8Array, bytes: number) => void) | undefined> {
  if (process.platform !== "linux") return undefined;
  let koffi: typeof Koffi;
  try {
    ({ default: koffi } = await import("koffi"));
  } catch {
    return undefined;
  }
  const madvise = koffi.load(null).func("int madvise(void *address, size_t length, int advice)");
  // An advice that the kernel does not take is none the worse.
  return (memory, bytes) => void madvise(memory, bytes, ADVISE_HUGE_PAGES);
}
