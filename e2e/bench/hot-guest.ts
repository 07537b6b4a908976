/** How long it takes to move a guest that writes to 41 MiB all the time, over 32 MiB/s. On an idle machine: under 3 s. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { moveHotGuest } from "../src/hot-guest.ts";

const RUNS = 5;

const cache = mkdtempSync(join(tmpdir(), "peregrine-bench-"));
process.env["XDG_CACHE_HOME"] = cache;
try {
  for (const downtime of [30, 300]) {
    const seconds: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const move = await moveHotGuest(downtime);
      console.log(`tolerated downtime ${downtime} ms: ${move.status} after ${move.seconds.toFixed(2)} s`);
      seconds.push(move.seconds);
    }
    const median = seconds.toSorted((a, b) => a - b)[RUNS >> 1]!;
    console.log(`tolerated downtime ${downtime} ms: ${median.toFixed(2)} s is the median`);
  }
} finally {
  rmSync(cache, { recursive: true });
}
