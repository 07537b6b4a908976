import { IncomingMigration } from "@peregrine/dest-agent";
import { Agent } from "../agent.ts";
import { exitStatus } from "../agent-end.ts";
import { serveAgent } from "../agent-process.ts";
import { recordsOfArrival } from "../agent-state.ts";
import type { ReceiveGuestOptions, ReceiveOptions } from "../command-options.ts";
import { incomingMachine } from "../machines.ts";
import { openObjects } from "../tls-options.ts";
import { openHooks } from "../hooks/open-hooks.ts";
import { openInterfaces } from "../open-interfaces.ts";
import { awaitGuest, drivesProgress, listenTls, sayRefusals, sayWhatFailed } from "./await-guest.ts";
import { receiveImage } from "./receive-image.ts";
import { reportEnd } from "./report-end.ts";
import { say, sayError } from "./say.ts";
import { withClaim } from "./with-claim.ts";

/** `peregrine receive`: waits for a guest. A program runs until it ends or has moved on, an image is held. */
export function receiveCommand(options: ReceiveOptions): Promise<number> {
  return options.machine === "image" ? receiveImage(options) : receiveGuest(options);
}

function receiveGuest(options: ReceiveGuestOptions): Promise<number> {
  const { name, uri, keep, monitors, metrics, channels, exitOnError, silence } = options;
  return withClaim(name, "incoming", async ({ claim, signals }) => {
    const interfaces = openInterfaces(options.nics, say);
    const objects = await openObjects(options.objects);
    const { machine, run } = await incomingMachine(options);
    const ledger = await recordsOfArrival(options.state, claim.name);
    const incoming = new IncomingMigration({
      machine,
      runControl: run,
      ledger,
      silence,
      undecided: (error) => {
        sayError(error);
        agent.ownershipChanged();
      },
      announce: () => agent.network.arrived(),
      drivesProgress: drivesProgress(),
      refused: sayRefusals(),
    });
    const arrival = { incoming, channels, exitOnError };
    const agent = new Agent({
      name: claim.name,
      machine,
      run,
      keep,
      objects,
      interfaces,
      hooks: openHooks(claim.name, options.hooks),
      ledger,
      silence,
      ...arrival,
    });
    const tls = listenTls(agent, objects, options);
    void sayWhatFailed(incoming, agent);
    const begin = (): Promise<void> =>
      awaitGuest(claim.name, incoming, { uri, multifdChannels: channels, tls });
    const end = await serveAgent({ agent, claim, monitors, metrics, objects, signals, say, begin });
    reportEnd(end, agent);
    return exitStatus(end);
  });
}
