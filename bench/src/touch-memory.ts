// Touches as many MiB of memory as its argument says, in huge pages as guests have them, and gives them back by ending.

import { hugeMemory } from "./huge-memory.ts";

const PIECE_MIB = 256;

const kept: Uint8Array[] = [];
for (let mib = Number(process.argv[2]); mib > 0; mib -= PIECE_MIB) {
  const bytes = await hugeMemory(PIECE_MIB);
  bytes.fill(1);
  kept.push(bytes);
}
