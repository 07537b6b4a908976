import { createInterface } from "node:readline";
import { connectToGuest } from "../agent-client.ts";
import type { AgentClient } from "../agent-client.ts";
import type { MonitorCommandOptions } from "../command-options.ts";
import { connectToMonitor } from "../monitor-link.ts";
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
  const security = clientTls(await openObjects(objects), tls, target.uri);
  return connectToMonitor(target.uri, { token, tls: security }, CONNECT_TIMEOUT_MS);
}
