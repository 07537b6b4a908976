import { MigrationError } from "@peregrine/protocol";
import type { ParameterName } from "@peregrine/shared-state";
import * as v from "valibot";
import type { AgentControl } from "./agent-control.ts";
import { commandTable, defineCommand, integer, NEGOTIATION_COMMAND } from "./command.ts";
import type { Command, CommandTable } from "./command.ts";
import type { MonitorVersion } from "./version.ts";

const PARAMETERS = {
  "announce-initial": v.exactOptional(v.unknown()),
  "announce-max": v.exactOptional(v.unknown()),
  "announce-rounds": v.exactOptional(v.unknown()),
  "announce-step": v.exactOptional(v.unknown()),
  "throttle-trigger-threshold": v.exactOptional(v.unknown()),
  "cpu-throttle-initial": v.exactOptional(v.unknown()),
  "cpu-throttle-increment": v.exactOptional(v.unknown()),
  "cpu-throttle-tailslow": v.exactOptional(v.unknown()),
  "avail-switchover-bandwidth": v.exactOptional(v.unknown()),
  "max-cpu-throttle": v.exactOptional(v.unknown()),
  "max-bandwidth": v.exactOptional(v.unknown()),
  "downtime-limit": v.exactOptional(v.unknown()),
  "xbzrle-cache-size": v.exactOptional(v.unknown()),
  "multifd-channels": v.exactOptional(v.unknown()),
  "multifd-compression": v.exactOptional(v.unknown()),
  "multifd-zlib-level": v.exactOptional(v.unknown()),
  "multifd-zstd-level": v.exactOptional(v.unknown()),
} satisfies Record<ParameterName, unknown>;

const CAPABILITIES = v.array(v.strictObject({ capability: v.string(), state: v.boolean() }));

/** Every command of the monitor, carried out by `agent`. */
export function createCommands(agent: AgentControl, version: MonitorVersion): CommandTable {
  const commands: readonly Command[] = [
    defineCommand("query-version", {}, () => version),
    defineCommand("query-commands", {}, () =>
      [NEGOTIATION_COMMAND, ...commands.map(({ name }) => name)].map((name) => ({ name })),
    ),

    defineCommand("query-status", {}, () => agent.queryStatus()),
    defineCommand("query-name", {}, async () => {
      const { name } = await agent.info();
      return name === null ? {} : { name };
    }),
    defineCommand("x-peregrine-info", {}, () => agent.info()),
    defineCommand("stop", {}, () => agent.stop()),
    defineCommand("cont", {}, () => agent.cont()),
    defineCommand("quit", {}, () => agent.quit()),

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
    defineCommand("x-peregrine-copy", { uri: v.string() }, ({ uri }) => agent.copy(uri)),
    defineCommand("migrate_cancel", {}, () => agent.cancelMigration()),
    defineCommand("query-migrate", {}, () => agent.queryMigrate()),

    defineCommand("migrate_set_speed", { value: integer() }, ({ value }) => agent.setSpeed(value)),
    defineCommand("migrate_set_downtime", { value: v.number() }, ({ value }) => agent.setDowntime(value)),
    defineCommand("migrate-set-cache-size", { value: integer() }, ({ value }) => agent.setCacheSize(value)),
    defineCommand("query-migrate-cache-size", {}, async () => {
      const parameters = await agent.queryParameters();
      return parameters["xbzrle-cache-size"];
    }),
    defineCommand("migrate-set-parameters", PARAMETERS, (changes) => agent.setParameters(changes)),
    defineCommand("query-migrate-parameters", {}, () => agent.queryParameters()),

    defineCommand("migrate-set-capabilities", { capabilities: CAPABILITIES }, ({ capabilities }) =>
      agent.setCapabilities(capabilities),
    ),
    defineCommand("query-migrate-capabilities", {}, () => agent.queryCapabilities()),
  ];
  return commandTable(commands);
}

function noDisks(parameter: string): MigrationError {
  return new MigrationError(
    "BAD_PARAMETER",
    `Parameter '${parameter}' cannot be true: the guest has no disks to migrate`,
  );
}
