import { IncomingMigration } from "@peregrine/dest-agent";
import { formatUri } from "@peregrine/transport";
import { limitsFor } from "../accepted-memory.ts";
import { Agent } from "../agent.ts";
import { exitStatus } from "../agent-end.ts";
import { serveAgent } from "../agent-process.ts";
import { recordsOfArrival } from "../agent-state.ts";
import type { ReceiveImageOptions } from "../command-options.ts";
import { ImageStore } from "../image-store.ts";
import { StoredImage } from "../stored-image.ts";
import { heldImage } from "../machines.ts";
import { openObjects } from "../tls-options.ts";
import { awaitGuest, listenTls, sayRefusals, sayWhatFailed } from "./await-guest.ts";
import { reportEnd } from "./report-end.ts";
import { say, sayError } from "./say.ts";
import { withClaim } from "./with-claim.ts";

/** Takes a virtual machine and holds it until it is sent on. */
export function receiveImage(options: ReceiveImageOptions): Promise<number> {
  const { name, uri, channels, keep, monitors, metrics, uuid, exitOnError, silence } = options;
  return withClaim(name, "image", async ({ claim, signals }) => {
    const { machine, run } = heldImage(uuid);
    const objects = await openObjects(options.objects);
    const stored =
      options.store === undefined
        ? undefined
        : new StoredImage(await ImageStore.open(options.store, claim.name), machine, say);
    const file = await stored?.file();
    const ledger = await recordsOfArrival(options.state, claim.name, file);
    const incoming = new IncomingMigration({
      machine,
      runControl: run,
      ledger,
      silence,
      undecided: (error) => {
        sayError(error);
        agent.ownershipChanged();
      },
      limits: limitsFor(options.maxRam),
      refused: sayRefusals(),
      ...(stored === undefined || file !== undefined ? {} : { accept: (how) => stored.keep(how, ledger) }),
    });
    const agent = new Agent({
      name: claim.name,
      machine,
      run,
      keep,
      objects,
      incoming,
      channels,
      exitOnError,
      ledger,
      silence,
    });
    const tls = listenTls(agent, objects, options);
    stored?.follow(agent);
    void sayWhatFailed(incoming, agent);
    const loaded = followLoad(claim.name, incoming, stored);
    const begin = async (): Promise<void> => {
      if (file === undefined) {
        await awaitGuest(claim.name, incoming, { uri, multifdChannels: channels, tls });
        return;
      }
      say(`Guest '${claim.name}' is taken from ${formatUri(await incoming.listen({ uri: `file:${file}` }))}`);
    };
    const end = await serveAgent({ agent, claim, monitors, metrics, objects, signals, say, begin });
    await loaded;
    await stored?.settled();
    reportEnd(end, agent);
    return exitStatus(end);
  });
}

/** Resolves when the load has ended, and what it has left on the disk is right. */
async function followLoad(
  name: string,
  incoming: IncomingMigration,
  stored: StoredImage | undefined,
): Promise<void> {
  const result = await incoming.done;
  if (result.kind !== "loaded") {
    await stored?.loadFailed();
    return;
  }
  await stored?.loaded();
  say(`Guest '${name}' is held here`);
}
