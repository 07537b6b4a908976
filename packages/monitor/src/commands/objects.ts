import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { Command } from "../command.ts";

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

/** Credentials for TLS, and who may use it. */
export function objectCommands(agent: AgentControl): readonly Command[] {
  return [
    defineCommand("object-add", { "qom-type": v.string(), id: v.string(), ...PROPERTIES }, (properties) =>
      agent.addObject(properties),
    ),
    defineCommand("object-del", { id: v.string() }, ({ id }) => agent.removeObject(id)),
  ];
}
