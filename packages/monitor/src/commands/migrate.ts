import { MigrationError } from "@peregrine/protocol";
import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { Command } from "../command.ts";

/** Starts an outgoing migration. */
export function migrateCommands(agent: AgentControl): readonly Command[] {
  return [
    defineCommand(
      "migrate",
      {
        uri: v.string(),
        blk: v.optional(v.boolean()),
        inc: v.optional(v.boolean()),
        // Accepted and ignored: the command never waits for the migration.
        detach: v.optional(v.boolean()),
      },
      ({ uri, blk, inc }) => {
        if (blk === true) throw noDisks("blk");
        if (inc === true) throw noDisks("inc");
        return agent.migrate(uri);
      },
    ),
  ];
}

function noDisks(parameter: string): MigrationError {
  return new MigrationError(
    "BAD_PARAMETER",
    `Parameter '${parameter}' cannot be true: the guest has no disks to migrate`,
  );
}
