import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand, integer } from "../command.ts";
import type { Command } from "../command.ts";

/** What is told to the guest's networks. */
export function networkCommands(agent: AgentControl): readonly Command[] {
  return [
    defineCommand(
      "announce-self",
      {
        initial: integer(),
        max: integer(),
        rounds: integer(),
        step: integer(),
        interfaces: v.optional(v.array(v.string())),
        id: v.optional(v.string()),
      },
      (request) => agent.announceSelf(request),
    ),
  ];
}
