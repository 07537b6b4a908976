import { IncomingMigration } from "@peregrine/dest-agent";
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
import { reportUnsent } from "./report-unsent.ts";
import { say } from "./say.ts";
import { progressView } from "../progress-view.ts";
import { watchMigration } from "./watch-migration.ts";
import { withClaim } from "./with-claim.ts";

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
      passesOn: relay,
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
      intakeTls: options.arrivalTls,
      keep,
      passedOn: relay,
      objects,
      silence: options.silence,
    });
    const { capabilities, parameters } = settingsOf(options.send);
    agent.outgoing.setCapabilities(capabilities);
    agent.outgoing.setParameters(parameters);
    relay.connect(agent, incoming);
    const watch = watchMigration(agent, incoming, await progressView(json), json);
    const begin = (): Promise<void> =>
      awaitGuest(claim.name, incoming, { uri: from, multifdChannels: channels, tls });
    try {
      const end = await serveAgent({ agent, claim, monitors, metrics, objects, signals, say, begin });
      if (incoming.query().kind === "failed") reportUnsent(end, agent.outgoing.status, json);
      reportEnd(end, agent);
      return exitStatus(end);
    } finally {
      watch.end();
    }
  });
}
