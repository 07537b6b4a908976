import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Host, migrationEnd, startMigration } from "@peregrine/e2e/agent-process.ts";

const CONTENT = fileURLToPath(new URL("../guests/content.wasm", import.meta.url));

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
  // A source whose guest has gone would end, and its figures with it.
  await startMigration(source, destination.uri, { bandwidth });
  const result = await migrationEnd(source);
  if (result.status !== "completed")
    throw new Error(`the migration did not complete: ${JSON.stringify(result)}`);
  return {
    totalTime: result["total-time"]!,
    transferred: result.ram!["transferred"]!,
    peakBytes: {
      source: await peakBytes(source.child.pid!),
      destination: await peakBytes(destination.agent.child.pid!),
    },
  };
}

async function peakBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s*(\d+) kB$/mu.exec(status)?.[1]) * 1024;
}
