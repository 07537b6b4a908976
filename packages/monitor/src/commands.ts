import { MigrationError } from "@peregrine/protocol";
import * as v from "valibot";
import type { AgentControl } from "./agent-control.ts";
import { checked, commandTable, defineCommand, integer, NEGOTIATION_COMMAND } from "./command.ts";
import type { Command, CommandTable } from "./command.ts";
import type { MonitorVersion } from "./version.ts";

const UINT64_LIMIT = 2 ** 64;
const NANOSECONDS_PER_SECOND = 1e9;
const MAX_DOWNTIME_SECONDS = (UINT64_LIMIT - 1) / NANOSECONDS_PER_SECOND;
const MAX_DOWNTIME_LIMIT_MS = 2000 * 1000;

/** Every command of the monitor, carried out by `agent`. */
export function createCommands(agent: AgentControl, version: MonitorVersion): CommandTable {
  const commands: readonly Command[] = [
    ...guestCommands(agent),
    ...migrationCommands(agent),
    ...parameterCommands(agent),
    ...capabilityCommands(agent),
    defineCommand("query-version", {}, () => version),
    defineCommand("query-commands", {}, () =>
      [NEGOTIATION_COMMAND, ...commands.map(({ name }) => name)].map((name) => ({ name })),
    ),
  ];
  return commandTable(commands);
}

function guestCommands(agent: AgentControl): Command[] {
  return [
    defineCommand("query-status", {}, () => agent.queryStatus()),
    defineCommand("query-name", {}, async () => {
      const { name } = await agent.info();
      return name === null ? {} : { name };
    }),
    defineCommand("stop", {}, () => agent.stop()),
    defineCommand("cont", {}, () => agent.cont()),
    defineCommand("quit", {}, () => agent.quit()),
    defineCommand("x-peregrine-info", {}, () => agent.info()),
  ];
}

function migrationCommands(agent: AgentControl): Command[] {
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
        if (blk === true || inc === true) {
          throw new MigrationError(
            "BAD_PARAMETER",
            `Parameter '${blk === true ? "blk" : "inc"}' cannot be true: the guest has no disks to migrate`,
          );
        }
        return agent.migrate(uri);
      },
    ),
    defineCommand("migrate_cancel", {}, () => agent.cancelMigration()),
    defineCommand("query-migrate", {}, () => agent.queryMigrate()),
  ];
}

function parameterCommands(agent: AgentControl): Command[] {
  return [
    defineCommand("migrate_set_speed", { value: integer() }, ({ value }) =>
      agent.setSpeed(Math.max(0, value)),
    ),
    defineCommand("migrate_set_downtime", { value: v.number() }, ({ value }) =>
      agent.setDowntime(Math.min(Math.max(0, value), MAX_DOWNTIME_SECONDS)),
    ),
    defineCommand(
      "migrate-set-parameters",
      {
        "max-bandwidth": v.exactOptional(checked(isUint64, "Parameter 'max-bandwidth' expects uint64")),
        "downtime-limit": v.exactOptional(
          checked(
            isDowntimeLimit,
            "Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms",
          ),
        ),
      },
      (parameters) => agent.setParameters(parameters),
    ),
    defineCommand("query-migrate-parameters", {}, () => agent.queryParameters()),
  ];
}

function capabilityCommands(agent: AgentControl): Command[] {
  const state = v.strictObject({ capability: v.string(), state: v.boolean() });
  return [
    defineCommand("migrate-set-capabilities", { capabilities: v.array(state) }, ({ capabilities }) => {
      const known = agent.queryCapabilities();
      for (const { capability } of capabilities) {
        if (!Object.hasOwn(known, capability)) {
          throw new MigrationError(
            "BAD_PARAMETER",
            `Parameter 'capability' does not accept value '${capability}'`,
          );
        }
      }
      const states = capabilities.map((entry) => [entry.capability, entry.state] as const);
      return agent.setCapabilities(Object.fromEntries(states));
    }),
    defineCommand("query-migrate-capabilities", {}, () =>
      Object.entries(agent.queryCapabilities()).map(([capability, on]) => ({ capability, state: on })),
    ),
  ];
}

function isUint64(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < UINT64_LIMIT;
}

function isDowntimeLimit(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_DOWNTIME_LIMIT_MS;
}
