import { createWriteStream } from "node:fs";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Host, PeregrineProcess } from "@peregrine/e2e/agent-process.ts";

const CONTENT = fileURLToPath(new URL("../guests/content.wasm", import.meta.url));
const MIB = 1 << 20;

/** Writes a file of random bytes into `directory`. @returns its name there. */
export async function randomFile(directory: string, mib: number): Promise<string> {
  const name = `random-${mib}`;
  const file = createWriteStream(join(directory, name));
  for (let n = 0; n < mib; n++) {
    if (!file.write(randomBytes(MIB))) await once(file, "drain");
  }
  file.end();
  await once(file, "close");
  return name;
}

/** Starts a guest that holds `mib` MiB of that file and sleeps. Resolves when it does. `options` are those of `run`. */
export async function sleepingGuest(
  host: Host,
  directory: string,
  file: string,
  mib: number,
  options: readonly string[] = [],
): Promise<PeregrineProcess> {
  const dir = ["--dir", `${directory}::/data`];
  const agent = await host.run(CONTENT, [...dir, ...options], [`/data/${file}`, String(mib)]);
  await agent.until("stdout", /holds \d+ bytes/u);
  return agent;
}
