import { connectToGuest } from "../agent-client.ts";
import { openRegistry } from "../open-registry.ts";

/** `peregrine cancel`, `stop`, `cont` and `quit`: one command of the monitor. */
export async function controlCommand(name: string, command: string): Promise<number> {
  const client = await connectToGuest(await openRegistry(), name);
  try {
    await client.execute(command);
    return 0;
  } finally {
    await client.close();
  }
}
