import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { Command } from "../command.ts";

/** What QEMU does not have. */
export function peregrineCommands(agent: AgentControl): readonly Command[] {
  return [
    defineCommand("x-peregrine-info", {}, () => agent.info()),
    defineCommand(
      "x-peregrine-migrate",
      { uri: v.string(), paused: v.optional(v.boolean()), copy: v.optional(v.boolean()) },
      ({ uri, paused = false, copy = false }) => agent.migrate(uri, { paused, copy }),
    ),
    defineCommand("x-peregrine-switchover", {}, () => agent.switchOverNow()),
    defineCommand("x-peregrine-copy", { uri: v.string() }, ({ uri }) => agent.copy(uri)),
  ];
}
