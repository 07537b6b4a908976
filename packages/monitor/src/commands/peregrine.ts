import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { CheckOpening, Command } from "../command.ts";

/** What QEMU does not have. */
export function peregrineCommands(agent: AgentControl, check: CheckOpening): readonly Command[] {
  return [
    defineCommand("x-peregrine-info", {}, () => agent.info()),
    defineCommand(
      "x-peregrine-migrate",
      {
        uri: v.string(),
        storage: v.exactOptional(v.picklist(["all", "inc"])),
        paused: v.exactOptional(v.boolean()),
        copy: v.exactOptional(v.boolean()),
      },
      ({ uri, ...request }, client) => {
        check(uri, "outgoing", client);
        return agent.migrate(uri, request);
      },
    ),
    defineCommand("x-peregrine-switchover", {}, () => agent.switchOverNow()),
    defineCommand("x-peregrine-converge", {}, () => agent.convergeNow()),
    defineCommand("x-peregrine-resolve", { as: v.picklist(["owner", "gone"]) }, ({ as }) =>
      agent.resolve(as),
    ),
    defineCommand("x-peregrine-copy", { uri: v.string() }, ({ uri }, client) => {
      check(uri, "outgoing", client);
      return agent.copy(uri);
    }),
  ];
}
