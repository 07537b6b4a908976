import { IncomingMigration } from "@peregrine/dest-agent";
import { ALL_EXTENSIONS } from "@peregrine/protocol";
import { absoluteUri } from "../absolute-uri.ts";
import { limitsFor } from "../accepted-memory.ts";
import { Agent } from "../agent.ts";
import { exitStatus } from "../agent-end.ts";
import { serveAgent } from "../agent-process.ts";
import type { RelayOptions } from "../command-options.ts";
import { heldImage } from "../machines.ts";
import { Relay } from "../relay.ts";
import { settingsOf } from "../send-settings.ts";
import { arrivalTls, openObjects } from "../tls-options.ts";
import { awaitGuest, DEFER, sayRefusals } from "./await-guest.ts";
import { reportEnd } from "./report-end.ts";
import { say } from "./say.ts";
import { watchMigration } from "./watch-migration.ts";
import { withClaim } from "./with-claim.ts";

/** The guest never belongs to a relay, so it has nothing to decide: both of its ends behave as those of a QEMU. */
const EXTENSIONS = { ...ALL_EXTENSIONS, handOver: false };

/** `peregrine relay`: takes the migration of a virtual machine and sends it on at the same time. */
export function relayCommand(options: RelayOptions): Promise<number> {
  const { name, from, channels, maxRam, uuid, keep, monitors, metrics, json } = options;
  return withClaim(name, "relay", async ({ claim, signals }) => {
    const { machine, run } = heldImage(uuid);
    const objects = await openObjects(options.objects);
    const tls = from === DEFER ? undefined : arrivalTls(objects, options.arrivalTls, from);
    const relay = new Relay(machine, absoluteUri(options.to), say);
    const incoming = new IncomingMigration({
      machine,
      runControl: run,
      extensions: EXTENSIONS,
      silence: options.silence,
      limits: limitsFor(maxRam),
      refused: sayRefusals(),
      opened: (how) => relay.opened(how),
      accept: (how) => relay.accept(how),
    });
    const agent = new Agent({
      name: claim.name,
      machine,
      run,
      incoming,
      channels,
      keep,
      extensions: EXTENSIONS,
      objects,
      silence: options.silence,
    });
    const { capabilities, parameters } = settingsOf(options.send);
    agent.outgoing.setCapabilities(capabilities);
    agent.outgoing.setParameters(parameters);
    relay.connect(agent, incoming);
    const watch = watchMigration(agent, json);
    const begin = (): Promise<void> =>
      awaitGuest(claim.name, incoming, { uri: from, multifdChannels: channels, tls });
    try {
      const end = await serveAgent({ agent, claim, monitors, metrics, objects, signals, say, begin });
      reportEnd(end, agent);
      return exitStatus(end);
    } finally {
      watch.end();
    }
  });
}
