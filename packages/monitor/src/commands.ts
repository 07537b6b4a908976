import { checkOpening, checkPath, NOTHING_OPEN } from "./access/opened-by-uri.ts";
import type { OpeningPolicy } from "./access/opened-by-uri.ts";
import type { AgentControl } from "./agent-control.ts";
import { commandTable, defineCommand, NEGOTIATION_COMMAND } from "./command.ts";
import type { Command, CommandTable, OpeningChecks } from "./command.ts";
import { capabilityCommands } from "./commands/capabilities.ts";
import { descriptorCommands } from "./commands/descriptors.ts";
import { guestCommands } from "./commands/guest.ts";
import { humanMonitorCommand } from "./commands/human.ts";
import { incomingCommands } from "./commands/incoming.ts";
import { migrateCommands } from "./commands/migrate.ts";
import { networkCommands } from "./commands/network.ts";
import { objectCommands } from "./commands/objects.ts";
import { outgoingCommands } from "./commands/outgoing.ts";
import { parameterCommands } from "./commands/parameters.ts";
import { peregrineCommands } from "./commands/peregrine.ts";
import { EVENT_NAMES } from "./events.ts";
import { HumanMonitor } from "./human/human-monitor.ts";
import type { MonitorVersion } from "./version.ts";

/** Each makes commands of one kind. A new kind is a file in `commands` and a line here. */
const GROUPS: readonly ((agent: AgentControl, checks: OpeningChecks) => readonly Command[])[] = [
  guestCommands,
  migrateCommands,
  outgoingCommands,
  incomingCommands,
  networkCommands,
  parameterCommands,
  capabilityCommands,
  descriptorCommands,
  objectCommands,
  peregrineCommands,
];

/** Every command of the monitor, carried out by `agent`. `opening`: what clients may have it open. Default: nothing. */
export function createCommands(
  agent: AgentControl,
  version: MonitorVersion,
  opening: OpeningPolicy = NOTHING_OPEN,
): CommandTable {
  const checks: OpeningChecks = {
    uri: (uri, direction, { isOwner = false }) => checkOpening(uri, direction, opening, !isOwner),
    path: (property, { isOwner = false }) => checkPath(property, opening, !isOwner),
  };
  const work = GROUPS.flatMap((group) => group(agent, checks));
  const human = new HumanMonitor({ agent, commands: commandTable(work), version });
  const commands: readonly Command[] = [
    defineCommand("query-version", {}, () => version),
    defineCommand("query-commands", {}, () =>
      [NEGOTIATION_COMMAND, ...commands.map(({ name }) => name)].map((name) => ({ name })),
    ),
    defineCommand("query-events", {}, () => EVENT_NAMES.map((name) => ({ name }))),
    humanMonitorCommand(human),
    ...work,
  ];
  return commandTable(commands);
}
