import { Agent } from "../agent.ts";
import { exitStatus } from "../agent-end.ts";
import { serveAgent } from "../agent-process.ts";
import { recordsOfRun } from "../agent-state.ts";
import type { RunOptions } from "../command-options.ts";
import { nameFromProgram } from "../guest-name.ts";
import { signalStatus } from "../host-signals.ts";
import { freshMachine } from "../machines.ts";
import { openObjects } from "../tls-options.ts";
import { openHooks } from "../hooks/open-hooks.ts";
import { openInterfaces } from "../open-interfaces.ts";
import { reportEnd } from "./report-end.ts";
import { say } from "./say.ts";
import { withClaim } from "./with-claim.ts";

/** `peregrine run`: runs a guest until it ends or has moved away. */
export function runCommand(options: RunOptions): Promise<number> {
  const { name, program, keep, monitors, metrics, paused } = options;
  return withClaim(name, nameFromProgram(program), async ({ claim, signals }) => {
    const ledger = await recordsOfRun(options.state, claim.name);
    const interfaces = openInterfaces(options.nics, say);
    const objects = await openObjects(options.objects);
    // Preparing a large program takes seconds, which the user need not wait for.
    const made = await Promise.race([freshMachine(options), signals.first]);
    if (typeof made === "string") return signalStatus(made);
    const { machine, run } = made;
    await ledger.write({ ownership: "owner" });
    const agent = new Agent({
      name: claim.name,
      machine,
      run,
      keep,
      objects,
      interfaces,
      hooks: openHooks(claim.name, options.hooks),
      ledger,
      silence: options.silence,
    });
    const begin = (): Promise<void> => (paused ? Promise.resolve() : run.cont());
    const end = await serveAgent({ agent, claim, monitors, metrics, objects, signals, say, begin });
    reportEnd(end, agent);
    return exitStatus(end);
  });
}
