import { MigrationError } from "@peregrine/protocol";
import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { Command } from "../command.ts";

/** What is done with an outgoing migration that is under way, and asked about it. */
export function outgoingCommands(agent: AgentControl): readonly Command[] {
  return [
    defineCommand("migrate_cancel", {}, () => agent.cancelMigration()),
    defineCommand("migrate-continue", { state: v.string() }, ({ state }) => agent.continueMigration(state)),
    defineCommand("migrate-start-postcopy", {}, () => {
      // The capability is not built, so it is off.
      throw new MigrationError(
        "WRONG_STATE",
        "Enable postcopy with migrate_set_capability before the start of migration",
      );
    }),
    defineCommand("query-migrate", {}, (_, client) => agent.queryMigrate(client)),
  ];
}
