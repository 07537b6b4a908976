import type { Agent } from "../agent.ts";
import type { AgentEnd } from "../agent-end.ts";
import { say, sayError } from "./say.ts";

/** Tells the user why an agent ends, where its guest does not say it. */
export function reportEnd(end: AgentEnd, agent: Pick<Agent, "target">): void {
  switch (end.kind) {
    case "guest":
      if (end.exit.kind === "trap") {
        sayError({ code: "GUEST_TRAP", message: `The guest program failed: ${end.exit.message}` });
      }
      return;
    case "moved":
      say(`The guest has moved to ${agent.target}`);
      return;
    case "load-failed":
      sayError(end.error);
      say(`load of migration failed: ${end.error.message}`);
      return;
    case "quit":
    case "signal":
  }
}
