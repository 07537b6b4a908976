import { adviseHugePages } from "@peregrine/host-memory";

/** Pages of WebAssembly in a MiB. */
const PAGES_PER_MIB = 16;

/** So many MiB of memory in huge pages, as guests have it. Unlike a buffer's, it begins at a page of the host. */
export async function hugeMemory(mib: number): Promise<Uint8Array> {
  const pages = mib * PAGES_PER_MIB;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  await adviseHugePages(bytes);
  return bytes;
}
