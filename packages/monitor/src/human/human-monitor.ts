import { MigrationError } from "@peregrine/protocol";
import type { AgentControl } from "../agent-control.ts";
import type { CommandTable } from "../command.ts";
import type { MonitorVersion } from "../version.ts";
import { humanCommands } from "./commands.ts";
import { argumentsOf, synopsisOf } from "./human-command.ts";
import type { Execute, HumanCommand, Terminal } from "./human-command.ts";
import { infoCommands } from "./info.ts";
import { wordsOf } from "./words.ts";

export interface HumanMonitorOptions {
  readonly agent: AgentControl;
  /** The commands of QMP, which do the work. */
  readonly commands: CommandTable;
  readonly version: MonitorVersion;
}

/** The monitor for people: a command a line, its answer in words. */
export class HumanMonitor {
  /** The first line that a person sees. */
  readonly greeting: string;
  readonly #commands: readonly HumanCommand[];
  readonly #infos: readonly HumanCommand[];

  constructor({ agent, commands, version }: HumanMonitorOptions) {
    this.greeting = `${version.package} monitor - type 'help' for more information`;
    const execute: Execute = (name, args = {}, client = {}) => {
      const command = commands.get(name);
      if (command === undefined) throw new MigrationError("INTERNAL", `QMP has no command '${name}'`);
      return command.run(args, client);
    };
    this.#infos = infoCommands(agent, version);
    this.#commands = [...humanCommands(agent, execute), this.#helpCommand(), this.#infoCommand()].sort(
      (one, other) => (one.names[0] < other.names[0] ? -1 : 1),
    );
  }

  /** Carries out one line. What is wrong with it, or with what it asks for, is printed. */
  async run(line: string, terminal: Terminal): Promise<void> {
    let help = "";
    try {
      const words = wordsOf(line);
      const [name, ...rest] = words;
      if (name === undefined) return;
      const command = find(this.#commands, name);
      help = `Try "help ${name}" for more information\n`;
      await command.run(argumentsOf(command, rest), terminal);
    } catch (error) {
      const { code, message } = MigrationError.from(error);
      // What is wrong with the words themselves is told without a heading.
      if (code === "BAD_COMMAND") terminal.print(`${message}\n${help}`);
      else if (code === "COMMAND_NOT_FOUND") terminal.print(`${message}\n`);
      else terminal.print(`Error: ${message}\n`);
    }
  }

  #infoCommand(): HumanCommand {
    return {
      names: ["info"],
      parameters: ["[subcommand]"],
      help: "show various information about the guest and its migration",
      run: async ({ values: { subcommand } }, terminal) => {
        if (subcommand === undefined) terminal.print(listing(this.#infos, "info "));
        else await find(this.#infos, subcommand, "info ").run({ flags: new Set(), values: {} }, terminal);
      },
    };
  }

  #helpCommand(): HumanCommand {
    return {
      names: ["help", "?"],
      parameters: ["[cmd]"],
      help: "show the help",
      run: ({ values: { cmd } }, { print }) => {
        if (cmd === "info") print(listing(this.#infos, "info "));
        else print(listing(cmd === undefined ? this.#commands : [find(this.#commands, cmd)]));
      },
    };
  }
}

/** Errors: COMMAND_NOT_FOUND. */
function find(commands: readonly HumanCommand[], name: string, prefix = ""): HumanCommand {
  const command = commands.find(({ names }) => names.includes(name));
  if (command !== undefined) return command;
  throw new MigrationError("COMMAND_NOT_FOUND", `unknown command: '${prefix}${name}'`);
}

function listing(commands: readonly HumanCommand[], prefix = ""): string {
  return commands.map((command) => `${prefix}${synopsisOf(command)} -- ${command.help}\n`).join("");
}
