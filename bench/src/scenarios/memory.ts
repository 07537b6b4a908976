import type { AgentReport } from "@peregrine/cli";
import { Host, migrate } from "@peregrine/e2e/agent-process.ts";
import type { PeregrineProcess } from "@peregrine/e2e/agent-process.ts";
import { readFile } from "node:fs/promises";
import { randomFile, sleepingGuest } from "../content-guest.ts";
import type { BenchContext, Row, Scenario } from "../scenario.ts";
import { median } from "../statistics.ts";

const MIB = 1024;

/** MB, as 10^6 bytes. */
const LIMIT = 120;

interface Memory {
  readonly source: number;
  readonly destination: number;
}

/** How much memory an agent takes besides that of its guest. */
export const memory: Scenario = {
  name: "memory",
  title: `a program with ${MIB} MiB of random content is moved over TCP, without a bandwidth limit`,
  needsQemu: false,
  run: async (context) => {
    const file = await randomFile(context.directory, MIB);
    const moves: Memory[] = [];
    for (let n = 0; n < context.pairs; n++) moves.push(await move(context, file));
    return [row("source", moves), row("destination", moves)];
  },
};

async function move({ directory, log }: BenchContext, file: string): Promise<Memory> {
  await using host = await Host.create();
  const source = await sleepingGuest(host, directory, file, MIB, ["--keep"]);
  const { agent, uri } = await host.receive("tcp");
  const { status } = await migrate(source, uri);
  if (status !== "completed") throw new Error(`the migration has ended as ${status}`);
  const measured = { source: await beyondGuest(source), destination: await beyondGuest(agent) };
  log(`source ${measured.source.toFixed(0)} MB, destination ${measured.destination.toFixed(0)} MB`);
  return measured;
}

/** MB that were resident when most was, without the guest's memory, all of which has contents. */
async function beyondGuest(agent: PeregrineProcess): Promise<number> {
  const { pid, memory: guest } = await agent.execute<AgentReport>("x-peregrine-info");
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const peak = Number(/^VmHWM:\s+(\d+) kB$/mu.exec(status)?.[1]) * 1024;
  return (peak - guest) / 1e6;
}

function row(side: keyof Memory, moves: readonly Memory[]): Row {
  const samples = moves.map((measured) => measured[side]);
  return {
    name: `memory.${side}`,
    what: `memory of the ${side}'s agent beyond the guest's`,
    figure: median(samples),
    unit: "MB",
    target: { atMost: LIMIT },
    samples,
    note: "VmHWM at the end of the migration minus the size of the guest's memory, all of which has contents",
  };
}
