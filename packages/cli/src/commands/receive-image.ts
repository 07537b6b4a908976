import { IncomingMigration } from "@peregrine/dest-agent";
import { DEFAULT_LIMITS } from "@peregrine/protocol";
import { formatUri } from "@peregrine/transport";
import { Agent } from "../agent.ts";
import { exitStatus } from "../agent-end.ts";
import { serveAgent } from "../agent-process.ts";
import type { ReceiveImageOptions } from "../command-options.ts";
import { ImageStore } from "../image-store.ts";
import { StoredImage } from "../stored-image.ts";
import { heldImage } from "../machines.ts";
import { reportEnd } from "./report-end.ts";
import { say } from "./say.ts";
import { withClaim } from "./with-claim.ts";

/** Takes a virtual machine and holds it until it is sent on. */
export function receiveImage(options: ReceiveImageOptions): Promise<number> {
  const { name, keep, monitors, uuid } = options;
  return withClaim(name, "image", async ({ claim, signals }) => {
    const { machine, run } = heldImage(uuid);
    const stored =
      options.store === undefined
        ? undefined
        : new StoredImage(await ImageStore.open(options.store, claim.name), machine, say);
    const file = await stored?.file();
    const incoming = new IncomingMigration({
      machine,
      runControl: run,
      uri: file === undefined ? options.uri : `file:${file}`,
      multifdChannels: file === undefined ? options.channels : 0,
      limits: { ...DEFAULT_LIMITS, maxRamBytes: options.maxRam },
      ...(stored === undefined || file !== undefined ? {} : { accept: (how) => stored.keep(how) }),
    });
    const agent = new Agent({ name: claim.name, machine, run, incoming, keep });
    stored?.follow(agent);
    const begin = async (): Promise<void> => {
      const address = formatUri(await incoming.listen());
      const how = file === undefined ? "awaited on" : "taken from";
      say(`Guest '${claim.name}' is ${how} ${address}`);
      void sayWhenHeld(claim.name, incoming);
    };
    const end = await serveAgent({ agent, claim, monitors, signals, say, begin });
    if ((await incoming.done).kind === "failed") await stored?.loadFailed();
    await stored?.settled();
    reportEnd(end, agent);
    return exitStatus(end);
  });
}

async function sayWhenHeld(name: string, incoming: IncomingMigration): Promise<void> {
  const result = await incoming.done;
  if (result.kind === "loaded") say(`Guest '${name}' is held here`);
}
