import type { IncomingMigration, ListenOptions } from "@peregrine/dest-agent";
import { formatUri } from "@peregrine/transport";
import type { Agent } from "../agent.ts";
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

/** Says why no guest has come, where that does not end the agent. */
export async function sayWhatFailed(incoming: IncomingMigration, agent: Agent): Promise<void> {
  const result = await incoming.done;
  if (result.kind === "failed" && !agent.exitsOnError) sayError(result.error);
}
