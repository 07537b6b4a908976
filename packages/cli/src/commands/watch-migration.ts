import type { Agent } from "../agent.ts";
import { isShown } from "../progress-view.ts";
import type { ProgressView } from "../progress-view.ts";
import { describeOutcome, printOutcome } from "./outcome.ts";

const PERIOD_MS = 100;

/** Shows how an agent in this process sends its guest on, from its beginning to {@link end}. */
export function watchMigration(
  agent: Agent,
  view: ProgressView,
  json: boolean,
): { readonly end: () => void } {
  const look = (): void => {
    const { outgoing } = agent.view.progress;
    if (outgoing !== undefined && isShown(outgoing)) view.show(outgoing);
  };
  const timer = setInterval(look, PERIOD_MS);
  const unsubscribe = agent.outgoing.subscribe((event) => {
    if (event.kind !== "migration") return;
    const { status } = event;
    if (status === "completed" || status === "failed" || status === "cancelled") {
      view.close();
      printOutcome(describeOutcome(agent.report()), json);
    }
  });
  return {
    end: () => {
      clearInterval(timer);
      unsubscribe();
      view.close();
    },
  };
}
