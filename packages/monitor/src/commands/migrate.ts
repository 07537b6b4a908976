import { MigrationError } from "@peregrine/protocol";
import type { MigrateRequest } from "@peregrine/shared-state";
import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { Command, OpeningChecks } from "../command.ts";
import { DESTINATION, uriOf } from "./destination.ts";

/** Starts an outgoing migration. */
export function migrateCommands(agent: AgentControl, checks: OpeningChecks): readonly Command[] {
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
      ({ blk, inc, resume, ...destination }, client) => {
        const uri = uriOf(destination);
        checks.uri(uri, "outgoing", client);
        if (resume === true) {
          throw new MigrationError("WRONG_STATE", "Cannot resume if there is no paused migration");
        }
        const storage = storageOf(blk, inc);
        return agent.migrate(uri, storage === undefined ? undefined : { storage }, client);
      },
    ),
  ];
}

/** `inc` alone is enough. */
function storageOf(blk = false, inc = false): MigrateRequest["storage"] {
  if (inc) return "inc";
  return blk ? "all" : undefined;
}
