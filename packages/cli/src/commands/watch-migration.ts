import type { IncomingMigration } from "@peregrine/dest-agent";
import type { Agent } from "../agent.ts";
import { isShown } from "../progress-view.ts";
import type { ProgressView } from "../progress-view.ts";
import { describeOutcome, printOutcome } from "./outcome.ts";

const PERIOD_MS = 100;

/**
 * Shows how an agent in this process sends its guest on, from its beginning to {@link end}.
 * @param incoming the guest's arrival: where that fails as well, it tells why, and the guest is its source's.
 */
export function watchMigration(
  agent: Agent,
  incoming: Pick<IncomingMigration, "done">,
  view: ProgressView,
  json: boolean,
): { readonly end: () => void } {
  const look = (): void => {
    const { outgoing } = agent.view.progress;
    if (outgoing !== undefined && isShown(outgoing)) view.show(outgoing);
  };
  const timer = setInterval(look, PERIOD_MS);
  const print = (): void => void printOutcome(describeOutcome(agent.report()), json);
  const unsubscribe = agent.outgoing.subscribe((event) => {
    if (event.kind !== "migration") return;
    const { status } = event;
    if (status !== "completed" && status !== "failed" && status !== "cancelled") return;
    view.close();
    if (status === "completed") print();
    else void incoming.done.then(({ kind }) => (kind === "loaded" ? print() : undefined));
  });
  return {
    end: () => {
      clearInterval(timer);
      unsubscribe();
      view.close();
    },
  };
}
