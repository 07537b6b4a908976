import { createInterface } from "node:readline";
import { connectToGuest } from "../agent-client.ts";
import { openRegistry } from "../open-registry.ts";

const PROMPT = "(peregrine) ";

/** `peregrine monitor`: the guest's monitor at this terminal, until the input or the agent ends. */
export async function monitorCommand(name: string): Promise<number> {
  const client = await connectToGuest(await openRegistry(), name);
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
