import { IncomingMigration } from "@peregrine/dest-agent";
import { formatUri } from "@peregrine/transport";
import { Agent } from "../agent.ts";
import { exitStatus } from "../agent-end.ts";
import { serveAgent } from "../agent-process.ts";
import type { ReceiveOptions } from "../command-options.ts";
import { HostSignals } from "../host-signals.ts";
import { incomingMachine } from "../machines.ts";
import { openRegistry } from "../open-registry.ts";
import { reportEnd } from "./report-end.ts";
import { say } from "./say.ts";

const DEFAULT_NAME = "incoming";

/** `peregrine receive`: waits for a guest, and runs it until it ends or has moved on. */
export async function receiveCommand(options: ReceiveOptions): Promise<number> {
  const { name, uri, directories, keep, monitors, paused } = options;
  const signals = new HostSignals();
  const registry = await openRegistry();
  const claim = await (name === undefined ? registry.claimFree(DEFAULT_NAME) : registry.claim(name));
  try {
    const { machine, run } = incomingMachine(directories, !paused);
    const incoming = new IncomingMigration({ machine, runControl: run, uri });
    const agent = new Agent({ name: claim.name, machine, run, incoming, keep });
    const begin = async (): Promise<void> => {
      say(`Guest '${claim.name}' is awaited on ${formatUri(await incoming.listen())}`);
    };
    const end = await serveAgent({ agent, claim, monitors, signals, say, begin });
    reportEnd(end, agent);
    return exitStatus(end);
  } finally {
    await claim.release();
    signals.dispose();
  }
}
