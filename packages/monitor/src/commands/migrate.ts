import { MigrationError } from "@peregrine/protocol";
import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { Command } from "../command.ts";
import { DESTINATION, uriOf } from "./destination.ts";

/** Starts an outgoing migration. */
export function migrateCommands(agent: AgentControl): readonly Command[] {
  return [
    defineCommand(
      "migrate",
      {
        ...DESTINATION,
        blk: v.optional(v.boolean()),
        inc: v.optional(v.boolean()),
        // Accepted and ignored: the command never waits for the migration.
        detach: v.optional(v.boolean()),
        resume: v.optional(v.boolean()),
      },
      ({ blk, inc, resume, ...destination }) => {
        const uri = uriOf(destination);
        if (resume === true) {
          throw new MigrationError("WRONG_STATE", "Cannot resume if there is no paused migration");
        }
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
