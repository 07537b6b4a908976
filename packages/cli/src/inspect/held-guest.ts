import type { ByteSource } from "@peregrine/stream-inspector";
import { listen } from "@peregrine/transport";
import type { Listener } from "@peregrine/transport";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectToGuest } from "../agent-client.ts";
import type { AgentClient } from "../agent-client.ts";
import { checkGuestName } from "../guest-name.ts";
import { openRegistry } from "../open-registry.ts";

/**
 * A virtual machine that is held by an agent, as the stream that the agent would send. It stays where it is.
 * Errors: BAD_PARAMETER, NO_SUCH_GUEST, CONNECT_FAILED; of the chunks, also why the agent sends no copy.
 */
export async function openHeldGuest(name: string): Promise<ByteSource> {
  const client = await connectToGuest(await openRegistry(), checkGuestName(name));
  // Only this user can connect there.
  const directory = await mkdtemp(join(tmpdir(), "peregrine-inspect-"));
  const uri = `unix:${join(directory, "copy")}`;
  const listener = await listen(uri);
  return {
    name: `the guest '${name}'`,
    repeatable: true,
    chunks: copyOf(client, listener, uri),
    close: async () => {
      await listener.close();
      await client.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function* copyOf(client: AgentClient, listener: Listener, uri: string): AsyncGenerator<Uint8Array> {
  // The socket is this user's own, and the agent's objects for TLS are for other sides.
  const copied = client.execute("x-peregrine-copy", { uri, tls: false });
  // An agent that refuses does not connect.
  const refused = copied.then(() => new Promise<never>(() => undefined));
  const channel = await Promise.race([listener.accept(), refused]);
  try {
    yield* channel.read();
    await copied;
  } finally {
    channel.destroy();
    await copied.catch(() => undefined);
  }
}
