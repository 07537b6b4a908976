import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { Command } from "../command.ts";

const CAPABILITIES = v.array(v.strictObject({ capability: v.string(), state: v.boolean() }));

/** The capabilities of migrations. */
export function capabilityCommands(agent: AgentControl): readonly Command[] {
  return [
    defineCommand("migrate-set-capabilities", { capabilities: CAPABILITIES }, ({ capabilities }) =>
      agent.setCapabilities(capabilities),
    ),
    defineCommand("query-migrate-capabilities", {}, () => agent.queryCapabilities()),
  ];
}
