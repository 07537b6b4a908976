import { createInterface } from "node:readline";
import { QmpClient } from "@peregrine/monitor";
import { MigrationError } from "@peregrine/protocol";
import { connectToGuest } from "../agent-client.ts";
import type { AgentClient } from "../agent-client.ts";
import type { MonitorCommandOptions } from "../command-options.ts";
import { openRegistry } from "../open-registry.ts";
import { clientTls, openObjects } from "../tls-options.ts";

/** A host that has not answered by then is not going to. Milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;

const PROMPT = "(peregrine) ";

/** `peregrine monitor`: an agent's monitor at this terminal, until the input or the agent ends. */
export async function monitorCommand(options: MonitorCommandOptions): Promise<number> {
  const client = await connected(options);
  const lines = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: PROMPT,
    terminal: process.stdin.isTTY,
  });
  void client.closed.then(() => lines.close());
  const prompt = (): void => {
    if (process.stdin.isTTY) lines.prompt();
  };
  try {
    prompt();
    for await (const line of lines) {
      const text = await client.execute("human-monitor-command", { "command-line": line });
      process.stdout.write(String(text).replaceAll("\r\n", "\n"));
      prompt();
    }
    return 0;
  } finally {
    lines.close();
    await client.close();
  }
}

async function connected({
  target,
  token,
  tls,
  objects,
}: MonitorCommandOptions): Promise<Pick<AgentClient, "execute" | "close" | "closed">> {
  if (target.kind === "guest") return connectToGuest(await openRegistry(), target.name);
  const overdue = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
  try {
    const security = clientTls(await openObjects(objects), tls, target.uri);
    return await QmpClient.connect(target.uri, { token, tls: security, signal: overdue });
  } catch (error) {
    if (overdue.aborted && tls.creds === undefined) throw silent(target.uri, error);
    if (token !== undefined || !MigrationError.is(error) || error.code !== "ACCESS_DENIED") throw error;
    throw new MigrationError(
      "ACCESS_DENIED",
      `The monitor at '${target.uri}' needs a token: give --monitor-token-file FILE or set PEREGRINE_MONITOR_TOKEN`,
      { cause: error },
    );
  }
}

/** One that has TLS waits for its client to begin. */
function silent(uri: string, cause: unknown): MigrationError {
  const seconds = CONNECT_TIMEOUT_MS / 1000;
  const text = `The monitor at '${uri}' has said nothing for ${seconds} s; if it has TLS, give --object and --tls-creds`;
  return new MigrationError("CONNECT_FAILED", text, { cause });
}
