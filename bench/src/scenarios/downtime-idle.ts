import { Host } from "@peregrine/e2e/agent-process.ts";
import { measureMove } from "@peregrine/e2e/measured-move.ts";
import type { MeasuredMove } from "@peregrine/e2e/measured-move.ts";
import { randomFile, sleepingGuest } from "../content-guest.ts";
import type { BenchContext, Row, Scenario } from "../scenario.ts";
import { median } from "../statistics.ts";

const MIB = 1024;

/** Milliseconds. */
const LIMIT = 10;

/** How long a guest that sleeps stands still. Each move is between two new processes. */
export const downtimeIdle: Scenario = {
  name: "downtime-idle",
  title: `a sleeping program with ${MIB} MiB of random content is moved over TCP, without a bandwidth limit`,
  needsQemu: false,
  run: async (context) => {
    const file = await randomFile(context.directory, MIB);
    const moves: MeasuredMove[] = [];
    for (let n = 0; n < context.pairs; n++) moves.push(await move(context, file));
    return rows(moves);
  },
};

async function move({ directory, log }: BenchContext, file: string): Promise<MeasuredMove> {
  await using host = await Host.create();
  const source = await sleepingGuest(host, directory, file, MIB);
  const destination = await host.receive("tcp");
  const measured = await measureMove(source, destination, { live: true });
  log(
    `${measured.downtime.toFixed(1)} ms; the source counts ${partsOf(measured)}; ${measured.totalTime} ms in all`,
  );
  return measured;
}

function partsOf({ parts }: MeasuredMove): string {
  return Object.entries(parts)
    .map(([name, ms]) => `${name} ${ms.toFixed(1)}`)
    .join(", ");
}

function rows(moves: readonly MeasuredMove[]): Row[] {
  const seen = moves.map(({ downtime }) => downtime);
  const counted = moves.map(({ parts }) => parts.total);
  return [
    {
      name: "downtime-idle",
      what: "downtime, STOP at the source to RESUME at the destination",
      figure: median(seen),
      unit: "ms",
      target: { atMost: LIMIT },
      samples: seen,
    },
    {
      name: "downtime-idle.source",
      what: "downtime as the source counts it, stop request to confirmation",
      figure: median(counted),
      unit: "ms",
      samples: counted,
    },
  ];
}
