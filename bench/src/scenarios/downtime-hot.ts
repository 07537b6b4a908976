import { Host } from "@peregrine/e2e/agent-process.ts";
import type { PeregrineProcess } from "@peregrine/e2e/agent-process.ts";
import { measureMove } from "@peregrine/e2e/measured-move.ts";
import type { MeasuredMove } from "@peregrine/e2e/measured-move.ts";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { BenchContext, Row, Scenario } from "../scenario.ts";
import { median, percentile } from "../statistics.ts";

const COUNTER = fileURLToPath(new URL("../../../examples/guests/counter.wasm", import.meta.url));
const MIB = 64;
const MIB_PER_SECOND = 100;
const MOVES = 100;

/** Milliseconds: what the agents are told to keep, and what is kept. */
const LIMIT = 30;
const WITHIN = 95;

/** From the arrival of the guest to its next move, at least, so that the new process has compiled what it runs. */
const REST_MS = 800;

/** How long a guest that writes all the time stands still. One guest is moved from process to process. */
export const downtimeHot: Scenario = {
  name: "downtime-hot",
  title: `a program that dirties ${MIB_PER_SECOND} MiB/s of ${MIB} MiB is moved on ${MOVES} times over TCP, limit ${LIMIT} ms`,
  needsQemu: false,
  run: async (context) => {
    await using host = await Host.create();
    const moves = await chain(host, context);
    return [row(moves.map(({ downtime }) => downtime))];
  },
};

async function chain(host: Host, { directory, log }: BenchContext): Promise<readonly MeasuredMove[]> {
  const args = ["/data/progress", "--mib", String(MIB), "--rate", String(MIB_PER_SECOND)];
  let agent = await host.run(COUNTER, ["--dir", `${directory}::/data`], args);
  const moves: MeasuredMove[] = [];
  for (let n = 1; n <= MOVES; n++) {
    const [next, move] = await moveOn(host, agent);
    agent = next;
    moves.push(move);
    if (n % 10 === 0) {
      const last = moves.slice(-10).map(({ downtime }) => downtime.toFixed(0));
      log(`${n} moves; the last ten stood still for ${last.join(", ")} ms`);
    }
  }
  return moves;
}

async function moveOn(host: Host, agent: PeregrineProcess): Promise<[PeregrineProcess, MeasuredMove]> {
  const [next] = await Promise.all([host.receive("tcp"), delay(REST_MS)]);
  return [next.agent, await measureMove(agent, next, { live: true })];
}

function row(downtimes: readonly number[]): Row {
  const kept = downtimes.filter((downtime) => downtime <= LIMIT).length;
  const spread = [median(downtimes), percentile(downtimes, 0.95), Math.max(...downtimes)];
  const [half, most, longest] = spread.map((ms) => ms.toFixed(1));
  return {
    name: "downtime-hot",
    what: `moves with a downtime of ${LIMIT} ms or less, STOP at the source to RESUME at the destination`,
    figure: (kept * 100) / downtimes.length,
    unit: "runs of 100",
    target: { atLeast: WITHIN },
    samples: downtimes,
    note: `median ${half} ms, 95th percentile ${most} ms, longest ${longest} ms; ${REST_MS} ms between two moves`,
  };
}
