import type { IncomingMigration, ListenOptions } from "@peregrine/dest-agent";
import type { MigrationError } from "@peregrine/protocol";
import { formatUri } from "@peregrine/transport";
import type { SecurityObjects, ServerTls } from "@peregrine/transport";
import type { Agent } from "../agent.ts";
import type { ArrivalOptions } from "../command-options.ts";
import { arrivalTls } from "../tls-options.ts";
import { say, sayError } from "./say.ts";

/** What stands for an address that the monitor's `migrate-incoming` gives later. */
export const DEFER = "defer";

/** Begins to wait for a guest, and says where. Errors: as of {@link IncomingMigration.listen}. */
export async function awaitGuest(
  name: string,
  incoming: IncomingMigration,
  how: ListenOptions,
): Promise<void> {
  if (how.uri === DEFER) say(`Guest '${name}' waits for the monitor's command migrate-incoming`);
  else say(`Guest '${name}' is awaited on ${formatUri(await incoming.listen(how))}`);
}

/**
 * What a source has to have, as the flags of a command say; the parameters of the agent say the same then. Undefined, too,
 * for an address that the monitor gives later: the parameters are looked at then. Errors: BAD_PARAMETER.
 */
export function listenTls(
  agent: Agent,
  objects: SecurityObjects,
  { uri, arrivalTls: tls }: ArrivalOptions,
): ServerTls | undefined {
  const { creds = "", authz = "" } = tls;
  agent.setParameters({ "tls-creds": creds, "tls-authz": authz });
  return uri === DEFER ? undefined : arrivalTls(objects, tls, uri);
}

/** Lines about refused connections at once, and how long it takes until there may be one more, milliseconds. */
const REFUSALS_AT_ONCE = 10;
const REFUSAL_PERIOD_MS = 1000;

/** Says that a connection was not let in. Of many in a short time some are left out: a stranger could fill a log. */
export function sayRefusals(): (error: MigrationError) => void {
  let left = REFUSALS_AT_ONCE;
  let last = performance.now();
  return (error) => {
    const now = performance.now();
    left = Math.min(left + (now - last) / REFUSAL_PERIOD_MS, REFUSALS_AT_ONCE);
    last = now;
    if (left < 1) return;
    left--;
    sayError(error);
  };
}

/** Says why no guest has come, where that does not end the agent, or why the one that has come does not run. */
export async function sayWhatFailed(incoming: IncomingMigration, agent: Agent): Promise<void> {
  const result = await incoming.done;
  if (result.kind === "failed") {
    if (!agent.exitsOnError) sayError(result.error);
    return;
  }
  if (result.error === undefined) return;
  sayError(result.error);
  say("The guest is here and stands still: continue it when its drives can be used");
}

/** Says how much of the drives has come, in steps of ten percent. */
export function drivesProgress(): (percent: number) => void {
  let said = 0;
  return (percent) => {
    const step = percent - (percent % 10);
    if (step <= said) return;
    said = step;
    say(`${step} % of the drives have come`);
  };
}
