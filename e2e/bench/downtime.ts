/**
 * How long a guest of 256 MiB that dirties 20 MiB/s stands still when it is moved, and what that is made of.
 * `pnpm bench:downtime [MOVES]`; 9 by default. One guest is moved from process to process, after it has
 * written into each of its pages, so that none is zero.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { pathOf } from "../../examples/guests/guests.ts";
import { build } from "@peregrine/cli/build";
import { Host, type PeregrineProcess } from "../src/agent-process.ts";
import { measureMove, type MeasuredMove } from "../src/measured-move.ts";

const MIB = 256;
const MIB_PER_SECOND = 20;
/** Milliseconds, for the median. */
const LIMIT = 50;
/** Between two moves, so that the new process has compiled what the guest runs. Milliseconds. */
const REST = 1000;

function line({ downtime, parts, bytesStopped, totalTime }: MeasuredMove): string {
  const named = Object.entries(parts).map(([name, ms]) => `${name} ${ms.toFixed(1)}`);
  return (
    `${downtime.toFixed(1).padStart(7)} ms from STOP to RESUME; the source counts ${named.join(", ")}; ` +
    `${(bytesStopped / 1024).toFixed(0)} KiB sent in it; ${totalTime} ms in all`
  );
}

async function moveOn(host: Host, agent: PeregrineProcess): Promise<[PeregrineProcess, MeasuredMove]> {
  const next = await host.receive("unix");
  await setTimeout(REST);
  const move = await measureMove(agent, next, { live: true });
  console.log(line(move));
  return [next.agent, move];
}

async function main(directory: string, moves: number): Promise<void> {
  await build();
  await using host = await Host.create();
  const args = ["/data/progress", "--mib", String(MIB), "--rate", String(MIB_PER_SECOND)];
  let agent = await host.run(pathOf("counter.wasm"), ["--dir", `${directory}::/data`], args);
  const filling = MIB / MIB_PER_SECOND + 1;
  console.log(
    `a guest of ${MIB} MiB that dirties ${MIB_PER_SECOND} MiB/s; it takes ${filling} s to write into all of it`,
  );
  await setTimeout(filling * 1000);
  const downtimes: number[] = [];
  for (let n = 0; n < moves; n++) {
    const [next, { downtime }] = await moveOn(host, agent);
    agent = next;
    downtimes.push(downtime);
  }
  const median = downtimes.toSorted((a, b) => a - b)[moves >> 1]!;
  const verdict = median <= LIMIT ? "met" : "not met";
  console.log(
    `${median.toFixed(1).padStart(7)} ms is the median of ${moves}; ${LIMIT} ms or less: ${verdict}`,
  );
}

const directory = mkdtempSync(join(tmpdir(), "peregrine-bench-"));
try {
  await main(directory, Number(process.argv[2] ?? 9));
} finally {
  rmSync(directory, { recursive: true });
}
