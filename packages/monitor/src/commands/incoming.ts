import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { Command, OpeningChecks } from "../command.ts";
import { DESTINATION, uriOf } from "./destination.ts";

/** Begins to wait for a guest. */
export function incomingCommands(agent: AgentControl, checks: OpeningChecks): readonly Command[] {
  return [
    defineCommand(
      "migrate-incoming",
      { ...DESTINATION, "exit-on-error": v.optional(v.boolean()) },
      ({ "exit-on-error": exitOnError, ...address }, client) => {
        const uri = uriOf(address);
        checks.uri(uri, "incoming", client);
        return agent.migrateIncoming(uri, exitOnError);
      },
    ),
  ];
}
