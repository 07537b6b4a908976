import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { Command, OpeningChecks } from "../command.ts";

/** What the types of objects that can be made may have. Their values are checked by what makes them. */
const PROPERTIES = {
  dir: v.exactOptional(v.unknown()),
  endpoint: v.exactOptional(v.unknown()),
  "verify-peer": v.exactOptional(v.unknown()),
  username: v.exactOptional(v.unknown()),
  identity: v.exactOptional(v.unknown()),
  policy: v.exactOptional(v.unknown()),
  rules: v.exactOptional(v.unknown()),
  filename: v.exactOptional(v.unknown()),
  refresh: v.exactOptional(v.unknown()),
};

/** Properties that name files of the agent's host. */
const PATHS = ["dir", "filename"] as const;

/** Credentials for TLS, and who may use it. */
export function objectCommands(agent: AgentControl, checks: OpeningChecks): readonly Command[] {
  return [
    defineCommand(
      "object-add",
      { "qom-type": v.string(), id: v.string(), ...PROPERTIES },
      (properties, client) => {
        for (const property of PATHS) {
          if (property in properties) checks.path(property, client);
        }
        return agent.addObject(properties);
      },
    ),
    defineCommand("object-del", { id: v.string() }, ({ id }) => agent.removeObject(id)),
  ];
}
