import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Host, migrationEnd, startMigration } from "@peregrine/e2e/agent-process.ts";

const CONTENT = fileURLToPath(new URL("../guests/content.wasm", import.meta.url));

/** Of the kernel's clock that processor time is told in: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** How a guest is moved over parallel channels. */
export interface ParallelMove {
  /** 0: everything goes on the main connection. */
  readonly channels: number;
  readonly compression: "none" | "zlib" | "zstd";
  /** Bytes per second; 0: no limit. */
  readonly bandwidth: number;
}

export interface MovedInParallel {
  /** As the source counts it, milliseconds. */
  readonly totalTime: number;
  /** Bytes of the stream, on all connections. */
  readonly transferred: number;
  /** Processor time of both ends together, seconds. */
  readonly cpuTime: number;
  /** Most memory that each process ever had, in bytes. The guest's own is part of it. */
  readonly peakBytes: { readonly source: number; readonly destination: number };
}

/**
 * Starts a guest that holds `mib` MiB of a file and sleeps, and moves it over TCP between two new processes.
 * Errors: when the migration fails.
 */
export async function moveInParallel(
  guest: { readonly directory: string; readonly file: string; readonly mib: number },
  { channels, compression, bandwidth }: ParallelMove,
): Promise<MovedInParallel> {
  await using host = await Host.create();
  const { directory, file, mib } = guest;
  const source = await host.run(CONTENT, ["--dir", `${directory}::/data`], [`/data/${file}`, String(mib)]);
  await source.until("stdout", /holds \d+ bytes/u);
  const destination = await host.receive("tcp", channels === 0 ? [] : ["--parallel", String(channels)]);
  if (channels > 0) {
    await source.execute("migrate-set-capabilities", {
      capabilities: [{ capability: "multifd", state: true }],
    });
    await source.execute("migrate-set-parameters", {
      "multifd-channels": channels,
      "multifd-compression": compression,
    });
  }
  const pids = [source.child.pid!, destination.agent.child.pid!];
  const before = await cpuTime(pids);
  await startMigration(source, destination.uri, { bandwidth });
  const result = await migrationEnd(source);
  const after = await cpuTime(pids);
  if (result.status !== "completed")
    throw new Error(`the migration did not complete: ${JSON.stringify(result)}`);
  return {
    totalTime: result["total-time"]!,
    transferred: result.ram!["transferred"]!,
    cpuTime: after - before,
    peakBytes: {
      source: await peakBytes(source.child.pid!),
      destination: await peakBytes(destination.agent.child.pid!),
    },
  };
}

/** Of all processes together, seconds. */
async function cpuTime(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const status = await readFile(`/proc/${pid}/stat`, "utf8");
    // Behind the name, which may hold anything: user and system time are the 12th and 13th.
    const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

async function peakBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s*(\d+) kB$/mu.exec(status)?.[1]) * 1024;
}
