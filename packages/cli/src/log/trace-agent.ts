import type { Agent } from "../agent.ts";
import { isLogging, LOG } from "./output.ts";

/**
 * Logs every change of an agent's states: at `info` that of migrations, of what the guest does and of who has it; at
 * `debug` passes, capabilities and parameters. Entries have the guest's name, and the number of the migration where they
 * are about one. @returns how to stop that.
 */
export function traceAgent(agent: Pick<Agent, "view" | "subscribe" | "onTrace">, guest: string): () => void {
  if (!isLogging()) return () => {};
  let { runState, owner } = agent.view.figures();
  LOG.info("the agent has begun", { guest, state: runState, owner });

  const traceStates = (): void => {
    const now = agent.view.figures();
    if (now.runState !== runState) LOG.info("run state", { guest, from: runState, to: now.runState });
    if (now.owner !== owner) LOG.info("ownership", { guest, from: owner, to: now.owner });
    ({ runState, owner } = now);
  };

  const undo = [
    agent.subscribe((event) => {
      const { outgoing, outgoingError, incoming, incomingError } = agent.view.figures();
      if (event.name === "MIGRATION") {
        const { status } = event.data;
        const direction = outgoing === undefined ? "incoming" : "outgoing";
        const code = direction === "incoming" ? incomingError : outgoingError;
        const fields = {
          guest,
          direction,
          migration: outgoing?.migration,
          status,
          code: status === "failed" ? code : undefined,
          bytes: outgoing?.transferred ?? incoming?.received,
        };
        if (status === "failed") LOG.warn("migration", fields);
        else LOG.info("migration", fields);
      } else if (event.name === "MIGRATION_PASS") {
        const { passTotal, verdict } = outgoing ?? {};
        LOG.debug("pass", {
          guest,
          migration: outgoing?.migration,
          pass: event.data.pass,
          bytes: passTotal,
          verdict: verdict?.kind,
        });
      }
      traceStates();
    }),
    agent.onTrace((what) => {
      if (what.kind === "capabilities") LOG.debug("capabilities", { guest, ...what.changes });
      else if (what.kind === "parameters") LOG.debug("parameters", { guest, changed: what.names.join(" ") });
      else traceStates();
    }),
  ];
  return () => {
    for (const step of undo) step();
    LOG.info("the agent ends", { guest, state: runState, owner });
  };
}
