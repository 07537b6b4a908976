import { MigrationError } from "@peregrine/protocol";
import type { AgentControl } from "../agent-control.ts";
import type { Execute, HumanCommand } from "./human-command.ts";
import { mebibytes, readParameter } from "./parameter-texts.ts";
import { waitForMigration } from "./wait-for-migration.ts";

const NOT_SYNCHRONOUS = "terminal does not allow synchronous migration, continuing detached\n";

/** Every command but `help` and `info`. What they do is done by commands of QMP. */
export function humanCommands(agent: AgentControl, execute: Execute): readonly HumanCommand[] {
  return [
    ...guestCommands(execute),
    ...migrationCommands(agent, execute),
    ...settingCommands(agent, execute),
  ];
}

function guestCommands(execute: Execute): readonly HumanCommand[] {
  return [
    { names: ["cont", "c"], help: "resume emulation", run: done(() => execute("cont")) },
    { names: ["quit", "q"], help: "quit the agent", run: done(() => execute("quit")) },
    { names: ["stop", "s"], help: "stop emulation", run: done(() => execute("stop")) },
  ];
}

function migrationCommands(agent: AgentControl, execute: Execute): readonly HumanCommand[] {
  return [
    {
      names: ["announce_self"],
      parameters: ["[interfaces]", "[id]"],
      help: "Trigger GARP/RARP announcements",
      run: async ({ values: { interfaces, id } }) => {
        const parameters = await agent.queryParameters();
        await execute("announce-self", {
          initial: parameters["announce-initial"],
          max: parameters["announce-max"],
          rounds: parameters["announce-rounds"],
          step: parameters["announce-step"],
          ...(interfaces === undefined ? {} : { interfaces: interfaces.split(",") }),
          ...(id === undefined ? {} : { id }),
        });
      },
    },
    {
      names: ["migrate"],
      flags: ["d", "b", "i", "r"],
      parameters: ["uri"],
      help:
        "migrate to URI (using -d to not wait for completion)\n" +
        "\t\t\t -b for migration without shared storage with full copy of disk\n" +
        "\t\t\t -i for migration without shared storage with incremental copy of disk\n" +
        "\t\t\t -r to resume a paused migration",
      run: async ({ flags, values: { uri } }, terminal) => {
        const request = {
          uri,
          ...(flags.has("b") ? { blk: true } : {}),
          ...(flags.has("i") ? { inc: true } : {}),
          ...(flags.has("r") ? { resume: true } : {}),
        };
        await execute("migrate", request, terminal.client);
        if (flags.has("d")) return;
        if (terminal.waits) await waitForMigration(agent, terminal);
        else terminal.print(NOT_SYNCHRONOUS);
      },
    },
    {
      names: ["migrate_cancel"],
      help: "cancel the current migration",
      run: done(() => execute("migrate_cancel")),
    },
    {
      names: ["migrate_continue"],
      parameters: ["state"],
      help: "Continue migration from the given paused state",
      run: done(({ values: { state } }) => execute("migrate-continue", { state })),
    },
    {
      names: ["migrate_incoming"],
      parameters: ["uri"],
      help: "Continue an incoming migration that was deferred",
      run: async ({ values: { uri } }, { client }) => {
        await execute("migrate-incoming", { uri }, client);
      },
    },
  ];
}

function settingCommands(agent: AgentControl, execute: Execute): readonly HumanCommand[] {
  return [
    {
      names: ["migrate_set_cache_size"],
      parameters: ["value"],
      help: "set cache size (in bytes) for XBZRLE migrations, the cache size will be rounded down to the nearest power of 2",
      run: done(({ values: { value = "" } }) =>
        execute("migrate-set-cache-size", { value: mebibytes(value) }),
      ),
    },
    {
      names: ["migrate_set_capability"],
      parameters: ["capability", "state"],
      help: "Enable/Disable the usage of a capability for migration",
      run: async ({ values: { capability, state } }) => {
        if (state !== "on" && state !== "off") {
          throw new MigrationError("BAD_COMMAND", "Expected 'on' or 'off'");
        }
        if (!agent.queryCapabilities().some((known) => known.capability === capability)) {
          throw new MigrationError("BAD_PARAMETER", `invalid parameter value: ${capability}`);
        }
        await execute("migrate-set-capabilities", { capabilities: [{ capability, state: state === "on" }] });
      },
    },
    {
      names: ["migrate_set_downtime"],
      parameters: ["value"],
      help: "set maximum tolerated downtime (in seconds) for migrations",
      run: done(({ values: { value = "" } }) => execute("migrate_set_downtime", { value: secondsOf(value) })),
    },
    {
      names: ["migrate_set_parameter"],
      parameters: ["parameter", "value"],
      help: "Set the parameter for migration",
      run: done(({ values: { parameter = "", value = "" } }) =>
        execute("migrate-set-parameters", readParameter(parameter, value)),
      ),
    },
    {
      names: ["migrate_set_speed"],
      parameters: ["value"],
      help: "set maximum speed (in bytes) for migrations. Defaults to MB if no size suffix is specified, ie. B/K/M/G/T",
      run: done(({ values: { value = "" } }) => execute("migrate_set_speed", { value: mebibytes(value) })),
    },
  ];
}

/** A command that prints nothing. */
function done(carryOut: (given: Parameters<HumanCommand["run"]>[0]) => unknown): HumanCommand["run"] {
  return async (given) => {
    await carryOut(given);
  };
}

const SECONDS = /^(?<number>-?\d+(?:\.\d+)?)(?<unit>ms|us|ns|s|)$/u;
const SECONDS_OF_UNIT: Readonly<Record<string, number>> = { "": 1, s: 1, ms: 1e-3, us: 1e-6, ns: 1e-9 };

/** Seconds, from a number with the suffix ms, us or ns, or with none. Errors: BAD_PARAMETER. */
function secondsOf(text: string): number {
  const groups = SECONDS.exec(text)?.groups;
  if (groups === undefined) throw new MigrationError("BAD_PARAMETER", `Invalid time ${text}`);
  return Number(groups["number"]) * SECONDS_OF_UNIT[groups["unit"]!]!;
}
