import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Command } from "../src/command.ts";
import { createCommands } from "../src/commands.ts";
import { HumanMonitor } from "../src/human/human-monitor.ts";
import { FakeAgent } from "./fake-agent.ts";
import { INCOMING_MEMBERS, OUTGOING_MEMBERS, VERDICTS } from "./progress-members.ts";
import { VERSION } from "./version.ts";

export const COMMANDS_DOCUMENT = fileURLToPath(new URL("../../../docs/COMMANDS.md", import.meta.url));

/** `docs/COMMANDS.md`, made from the commands themselves. */
export async function renderCommandsDocument(): Promise<string> {
  const agent = new FakeAgent();
  const commands = createCommands(agent, VERSION);
  return [
    "# Commands of the monitor",
    "",
    "This file is made from the commands in `packages/monitor/src` by",
    "`node packages/monitor/test/commands-document.ts`. [monitor.md](monitor.md) tells how they are sent.",
    "",
    "## For programs: QMP",
    "",
    "Arguments in brackets may be left out. Before any of these a client sends `qmp_capabilities`.",
    "",
    "| command | arguments |",
    "| --- | --- |",
    ...[...commands.values()].map(
      (command) => `| \`${command.name}\` | ${argumentsOf(command).join(", ")} |`,
    ),
    "",
    "### How far a migration is",
    "",
    "While a migration is under way, `query-migrate` has the member `x-peregrine-progress`, which QEMU has not, and so have",
    "`progress` and `incoming` of `x-peregrine-info` and the lines of `peregrine migrate --json`. Nothing in it that says how",
    "far the migration is runs backwards. Of a guest that leaves:",
    "",
    ...memberTable(OUTGOING_MEMBERS),
    "",
    "`verdict.kind` is one of these:",
    "",
    ...memberTable(VERDICTS),
    "",
    "Of a guest that arrives:",
    "",
    ...memberTable(INCOMING_MEMBERS),
    "",
    "## For people",
    "",
    "What `help` and `info` say:",
    "",
    "```",
    await spoken(new HumanMonitor({ agent, commands, version: VERSION })),
    "```",
    "",
  ].join("\n");
}

function memberTable(members: Readonly<Record<string, string>>): string[] {
  return [
    "| member | meaning |",
    "| --- | --- |",
    ...Object.entries(members).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`),
  ];
}

function argumentsOf({ entries }: Command): string[] {
  return Object.entries(entries).map(([name, { type }]) =>
    type === "optional" || type === "exact_optional" ? `[\`${name}\`]` : `\`${name}\``,
  );
}

async function spoken(monitor: HumanMonitor): Promise<string> {
  let text = "";
  const terminal = {
    print: (more: string) => (text += more),
    client: {},
    waits: false,
    gone: new AbortController().signal,
  };
  await monitor.run("help", terminal);
  await monitor.run("info", terminal);
  return text.replaceAll("\t", "    ").trimEnd();
}

if (import.meta.main) writeFileSync(COMMANDS_DOCUMENT, await renderCommandsDocument());
