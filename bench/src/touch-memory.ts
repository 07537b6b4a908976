// Touches as many MiB of memory as its argument says, in huge pages as guests have them, and gives them back by ending.

import { adviseHugePages } from "@peregrine/host-memory";

/** Pages of WebAssembly in a MiB. */
const PAGES_PER_MIB = 16;
const PIECE_MIB = 256;

const kept: WebAssembly.Memory[] = [];
for (let mib = Number(process.argv[2]); mib > 0; mib -= PIECE_MIB) {
  const pages = PIECE_MIB * PAGES_PER_MIB;
  // Unlike a buffer, it begins at a page of the host.
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  await adviseHugePages(bytes);
  bytes.fill(1);
  kept.push(memory);
}
