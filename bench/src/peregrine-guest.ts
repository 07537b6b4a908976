import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Host, migrate } from "@peregrine/e2e/agent-process.ts";
import type { PeregrineProcess } from "@peregrine/e2e/agent-process.ts";
import type { Content, Copy, Transport } from "./copied-guest.ts";
import { processorSeconds } from "./process-cost.ts";

const CONTENT_PROGRAM = fileURLToPath(new URL("../guests/content.wasm", import.meta.url));

/** How long an agent is given to be done with its start, milliseconds. */
const START_MS = 1000;

export interface PeregrineCopyOptions {
  readonly transport: Transport;
  readonly content: Content;
  /** Of `migrate-set-capabilities`. */
  readonly capabilities?: readonly string[];
  /** Of `migrate-set-parameters`, at the source. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Of `peregrine receive`. */
  readonly receiveOptions?: readonly string[];
  /** Called with both agents when the guest has arrived. */
  readonly inspect?: (source: PeregrineProcess, destination: PeregrineProcess) => Promise<void> | void;
}

/** Runs the program that holds the content; resolves when it does. */
export async function startContentGuest(host: Host, content: Content): Promise<PeregrineProcess> {
  const directory = `${dirname(content.path)}::/content`;
  const args = [`/content/${basename(content.path)}`, String(content.mib)];
  const agent = await host.run(CONTENT_PROGRAM, ["--keep", "--dir", directory], args);
  await agent.until("stdout", /holds \d+ bytes/u);
  return agent;
}

/** Moves a WebAssembly program from one agent to another. */
export async function copyPeregrineGuest(options: PeregrineCopyOptions): Promise<Copy> {
  const { transport, content, capabilities = [], parameters = {}, receiveOptions = [] } = options;
  await using host = await Host.create();
  const source = await startContentGuest(host, content);
  const { agent: destination, uri } = await host.receive(transport, receiveOptions);
  await source.execute("migrate-set-capabilities", {
    capabilities: capabilities.map((capability) => ({ capability, state: true })),
  });
  if (Object.keys(parameters).length > 0) await source.execute("migrate-set-parameters", parameters);
  const resumed = momentOf(destination, "RESUME");
  await new Promise((resolve) => setTimeout(resolve, START_MS));
  const cost = (): number => processorSeconds(source.child.pid!) + processorSeconds(destination.child.pid!);
  const before = cost();
  const start = performance.now();
  const bandwidth = Number(parameters["max-bandwidth"] ?? 0);
  const info = await migrate(source, uri, { bandwidth });
  if (info.status !== "completed") throw new Error(`Peregrine: ${info["error-desc"]}`);
  const seconds = ((await resumed) - start) / 1000;
  const copy = {
    seconds,
    totalTime: info["total-time"]!,
    downtime: info.downtime!,
    processorSeconds: cost() - before,
  };
  await options.inspect?.(source, destination);
  return copy;
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
