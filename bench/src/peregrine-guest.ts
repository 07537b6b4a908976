import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Host, migrationEnd } from "@peregrine/e2e/agent-process.ts";
import type { PeregrineProcess } from "@peregrine/e2e/agent-process.ts";
import { endOf } from "@peregrine/e2e/measured-move.ts";
import type { Content, Copy, Transport } from "./content.ts";
import { peakMemory, processorSeconds } from "./process-cost.ts";
import { warmMemory } from "./warm-memory.ts";

const CONTENT_PROGRAM = fileURLToPath(new URL("../guests/content.wasm", import.meta.url));

/** How long an agent is given to be done with its start, and with what it starts a second later. Milliseconds. */
const START_MS = 2000;

/** Connections beside the main one, and what is done to the pages on them. */
export interface Parallel {
  readonly channels: number;
  readonly compression: "none" | "zlib" | "zstd";
}

export interface PeregrineCopyOptions {
  readonly transport: Transport;
  readonly content: Content;
  /** Bytes per second. Default: no limit. */
  readonly bandwidth?: number;
  /** Default: everything goes on the main connection. */
  readonly parallel?: Parallel;
}

export interface PeregrineCopy extends Copy {
  /** Bytes of the stream, on all connections. */
  readonly transferred: number;
  /** Most memory that each process ever had, in bytes. The guest's own is part of it. */
  readonly peakMemory: { readonly source: number; readonly destination: number };
}

/** Runs the program that holds the content and sleeps; resolves when it does. */
export async function startContentGuest(host: Host, content: Content): Promise<PeregrineProcess> {
  const directory = `${dirname(content.path)}::/content`;
  const args = [`/content/${basename(content.path)}`, String(content.mib)];
  // Its process stays when the guest has left, so that it can be asked what it took.
  const agent = await host.run(CONTENT_PROGRAM, ["--keep", "--dir", directory], args);
  await agent.until("stdout", /holds \d+ bytes/u);
  return agent;
}

/** Moves a WebAssembly program from one agent to another. */
export async function copyPeregrineGuest(options: PeregrineCopyOptions): Promise<PeregrineCopy> {
  const { transport, content, bandwidth = 0, parallel } = options;
  await using host = await Host.create();
  const source = await startContentGuest(host, content);
  const receiveOptions = parallel === undefined ? [] : ["--parallel", String(parallel.channels)];
  const { agent: destination, uri } = await host.receive(transport, receiveOptions);
  if (parallel !== undefined) {
    await source.execute("migrate-set-capabilities", {
      capabilities: [{ capability: "multifd", state: true }],
    });
    await source.execute("migrate-set-parameters", {
      "multifd-channels": parallel.channels,
      "multifd-compression": parallel.compression,
    });
  }
  const resumed = momentOf(destination, "RESUME");
  await source.execute("migrate-set-capabilities", { capabilities: [{ capability: "events", state: true }] });
  await source.execute("migrate-set-parameters", { "max-bandwidth": bandwidth });
  const ended = endOf(await source.monitor());
  await new Promise((resolve) => setTimeout(resolve, START_MS));
  await warmMemory(content.mib);
  const cost = (): number => processorSeconds(source.child.pid!) + processorSeconds(destination.child.pid!);
  const before = cost();
  const start = performance.now();
  await source.execute("migrate", { uri });
  await ended;
  const info = await migrationEnd(source);
  if (info.status !== "completed") throw new Error(`Peregrine: ${info["error-desc"]}`);
  const seconds = ((await resumed) - start) / 1000;
  return {
    seconds,
    totalTime: info["total-time"]!,
    downtime: info.downtime!,
    processorSeconds: cost() - before,
    transferred: info.ram!["transferred"]!,
    peakMemory: {
      source: peakMemory(source.child.pid!),
      destination: peakMemory(destination.child.pid!),
    },
  };
}

/** When the next event of that name was taken from the monitor, `performance.now()`. */
async function momentOf(agent: PeregrineProcess, name: string): Promise<number> {
  const client = await agent.monitor();
  const { promise, resolve } = Promise.withResolvers<number>();
  client.events.subscribe(({ event }) => {
    if (event === name) resolve(performance.now());
  });
  return promise;
}
