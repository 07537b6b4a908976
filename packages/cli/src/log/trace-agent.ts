import type { Agent } from "../agent.ts";
import type { MigrationTrace } from "../agent-options.ts";
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

  const traceMigration = ({ direction, status }: MigrationTrace): void => {
    const { outgoing, outgoingError, incoming, incomingError } = agent.view.figures();
    const arrives = direction === "incoming";
    const code = arrives ? incomingError : outgoingError;
    const fields = {
      guest,
      direction,
      migration: arrives ? undefined : outgoing?.migration,
      status,
      code: status === "failed" ? code : undefined,
      bytes: arrives ? incoming?.received : outgoing?.transferred,
    };
    if (status === "failed") LOG.warn("migration", fields);
    else LOG.info("migration", fields);
  };

  const undo = [
    agent.subscribe((event) => {
      if (event.name === "MIGRATION_PASS") {
        const { outgoing } = agent.view.figures();
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
      else {
        if (what.kind === "migration") traceMigration(what);
        traceStates();
      }
    }),
  ];
  return () => {
    for (const step of undo) step();
    LOG.info("the agent ends", { guest, state: runState, owner });
  };
}
