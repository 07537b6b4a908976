import type { AgentControl, GuestStatus } from "../agent-control.ts";
import type { MonitorVersion } from "../version.ts";
import type { HumanCommand } from "./human-command.ts";
import { migrationText } from "./migration-text.ts";
import { parameterLines } from "./parameter-texts.ts";

/** What can be asked with `info`. */
export function infoCommands(agent: AgentControl, version: MonitorVersion): readonly HumanCommand[] {
  return [
    {
      names: ["migrate"],
      help: "show migration status",
      run: async (_, { print, client }) => print(migrationText(await agent.queryMigrate(client))),
    },
    {
      names: ["migrate_cache_size"],
      help: "show current migration xbzrle cache size",
      run: async (_, { print }) => {
        const parameters = await agent.queryParameters();
        print(`xbzrle cache size: ${parameters["xbzrle-cache-size"] / 1024} kbytes\n`);
      },
    },
    {
      names: ["migrate_capabilities"],
      help: "show current migration capabilities",
      run: (_, { print }) => {
        for (const { capability, state } of agent.queryCapabilities()) {
          print(`${capability}: ${state ? "on" : "off"}\n`);
        }
      },
    },
    {
      names: ["migrate_parameters"],
      help: "show current migration parameters",
      run: async (_, { print }) => print(parameterLines(await agent.queryParameters())),
    },
    {
      names: ["name"],
      help: "show the current guest's name",
      run: async (_, { print }) => {
        const { name } = await agent.info();
        if (name !== null) print(`${name}\n`);
      },
    },
    {
      names: ["status"],
      help: "show the current guest's status (running|paused)",
      run: async (_, { print }) => print(`VM status: ${statusText(await agent.queryStatus())}\n`),
    },
    {
      names: ["version"],
      help: "show the version of the monitor",
      run: (_, { print }) => {
        const { major, minor, micro } = version.qemu;
        print(`${major}.${minor}.${micro} (${version.package})\n`);
      },
    },
  ];
}

function statusText({ status, running }: GuestStatus): string {
  if (running) return "running";
  return status === "paused" ? "paused" : `paused (${status})`;
}
