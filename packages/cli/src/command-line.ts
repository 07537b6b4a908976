import { MigrationError } from "@peregrine/protocol";
import type { ObjectProperties } from "@peregrine/transport";
import { Command, CommanderError, Option } from "commander";
import type { OutputConfiguration } from "commander";
import {
  defineReceive,
  defineRelay,
  defineRestore,
  defineRun,
  TOKEN_FILE_HELP,
} from "./agent-command-line.ts";
import type { CommandHandlers, Finish, MonitorTarget } from "./command-options.ts";
import { defineDashboard } from "./dashboard-command-line.ts";
import { defineDoctor } from "./doctor-command-line.ts";
import { addNotes, defineHelp } from "./help-command-line.ts";
import { defineInspect } from "./inspect-command-line.ts";
import { defineCheckpoint, defineMigrate } from "./migrate-command-line.ts";
import { takeMonitorToken } from "./monitor-token.ts";
import * as value from "./option-values.ts";
import { objectOption } from "./tls-options.ts";
import { commandShape } from "./reference/command-shape.ts";
import type { CommandShape } from "./reference/command-shape.ts";
import { describeVersion } from "./version.ts";

/** The commands as a process offers them: all of them, or one daemon. */
export type ProgramName = "peregrine" | "source-agent" | "dest-agent";

/**
 * Parses the arguments and carries the command out. Help goes to the standard output.
 * @returns the exit status. Errors: USAGE; those of the command.
 */
export async function execute(
  program: ProgramName,
  args: readonly string[],
  handlers: CommandHandlers,
  output: OutputConfiguration = {},
): Promise<number> {
  let status = 0;
  const finish = (result: number): void => {
    status = result;
  };
  try {
    await commandOf(program, handlers, finish, output).parseAsync(bindOptionalValues(args), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw new MigrationError("USAGE", usageMessage(program, error), { cause: error });
  }
  return status;
}

function commandOf(
  program: ProgramName,
  handlers: CommandHandlers,
  finish: Finish,
  output: OutputConfiguration,
): Command {
  // Errors are printed by whoever called; subcommands inherit this.
  const root = new Command(program)
    .exitOverride()
    .configureOutput({ ...output, outputError: () => undefined, writeErr: () => undefined })
    .option("-V, --version", "print the version and its commit");
  // The parser's own would want the text at every start, and git may have to be asked for it.
  root.on("option:version", () => {
    const text = `peregrine ${describeVersion()}`;
    root.configureOutput().writeOut?.(`${text}\n`);
    throw new CommanderError(0, "commander.version", text);
  });
  if (program !== "peregrine") {
    const define = program === "source-agent" ? defineRun : defineReceive;
    addNotes(define(root, handlers, finish));
    return root;
  }
  root.description("Moves running programs and virtual machines from one process to another.");
  defineRun(root.command("run"), handlers, finish);
  defineReceive(root.command("receive"), handlers, finish);
  defineRelay(root.command("relay"), handlers, finish);
  defineMigrate(root.command("migrate"), handlers, finish);
  defineCheckpoint(root.command("checkpoint"), handlers, finish);
  defineRestore(root.command("restore"), handlers, finish);
  defineDoctor(root.command("doctor"), handlers, finish);
  defineInspect(root.command("inspect"), handlers, finish);
  defineObservers(root, handlers, finish);
  defineResolve(root, handlers, finish);
  defineDashboard(root.command("dashboard"), handlers, finish);
  defineControls(root, handlers, finish);
  defineHelp(root, finish);
  return root;
}

/** The commands that become an agent, for documents and tests; they carry nothing out. */
export function agentCommands(): readonly Command[] {
  const all = commandOf("peregrine", {} as CommandHandlers, () => undefined, {});
  return all.commands.filter(({ options }) => options.some(({ long }) => long === "--config"));
}

/** What a program can be told, as data. */
export function describeProgram(program: ProgramName): CommandShape {
  return commandShape(commandOf(program, {} as CommandHandlers, () => undefined, {}));
}

interface FormatFlags {
  readonly json?: boolean;
}

interface MonitorFlags {
  readonly monitorTokenFile?: string;
  readonly object?: readonly ObjectProperties[];
  readonly tlsCreds?: string;
  readonly tlsHostname?: string;
}

interface InfoFlags extends FormatFlags {
  readonly completed?: boolean;
}

/**
 * A value for `--xbzrle` is only what is joined to it by `=`: the word behind it is an argument. The parser is told so
 * by an empty value.
 */
function bindOptionalValues(args: readonly string[]): string[] {
  const end = args.indexOf("--");
  return args.map((arg, index) => (arg === "--xbzrle" && (end < 0 || index < end) ? "--xbzrle=" : arg));
}

function defineObservers(root: Command, handlers: CommandHandlers, finish: Finish): void {
  root
    .command("info")
    .description("Shows what is known about a guest.")
    .argument("<name>", "the guest", value.guestName)
    .option("--completed", "show the last migration that has ended instead, on whichever side")
    .option("--json", "as JSON")
    .action(async (name: string, { completed = false, json = false }: InfoFlags) =>
      finish(await handlers.info(name, { completed, json })),
    );
  root
    .command("list")
    .description("Lists the guests of this user.")
    .option("--json", "as JSON")
    .action(async ({ json = false }: FormatFlags) => finish(await handlers.list({ json })));
}

interface ResolveFlags {
  readonly as?: "owner" | "gone";
  readonly peer?: string;
  readonly state?: string;
  readonly peerState?: string;
  readonly force?: boolean;
}

function defineResolve(root: Command, handlers: CommandHandlers, finish: Finish): void {
  root
    .command("resolve")
    .description(
      "Shows what both sides know of a guest whose connection broke while it was being handed over, and has this side do what you decide.",
    )
    .argument("<name>", "the guest", value.guestName)
    .addOption(
      new Option("--as <side>", "owner: it goes on here; gone: it is given up here").choices([
        "owner",
        "gone",
      ]),
    )
    .option("--peer <name>", "the agent at the other side, if it is of this host", value.guestName)
    .option("--state <directory>", "ask the records there when the agent has ended")
    .option("--peer-state <directory>", "the same for the other side, also when its agent was started again")
    .option("--force", "also against what the other side says, or where nothing is known of it")
    .action(async (name: string, { as, peer, state, peerState, force = false }: ResolveFlags) =>
      finish(await handlers.resolve(name, { as, peer, state, peerState, force })),
    );
}

function defineControls(root: Command, handlers: CommandHandlers, finish: Finish): void {
  const controls = [
    ["cancel", "Cancels the migration of a guest; the guest runs on where it is."],
    ["stop", "Pauses a guest."],
    ["cont", "Starts or continues a guest."],
    ["quit", "Ends a guest and its agent."],
  ] as const;
  objectOption(root.command("monitor"))
    .description("Opens the monitor of a guest: a command a line; help lists them.")
    .argument("<name>", "the guest, or where its monitor is: tcp:HOST:PORT or unix:PATH", value.monitorTarget)
    .option("--monitor-token-file <file>", TOKEN_FILE_HELP)
    .option("--tls-creds <id>", "reach it over TLS, with the credentials of this --object")
    .option("--tls-hostname <name>", "what the monitor's certificate is for, if not the host of the address")
    .action(async (target: MonitorTarget, given: MonitorFlags, command: Command) => {
      if (target.kind === "guest" && given.tlsCreds !== undefined)
        command.error("error: option '--tls-creds <id>' is for a monitor at tcp:HOST:PORT");
      const token = await takeMonitorToken(given.monitorTokenFile, process.env);
      const tls = { creds: given.tlsCreds, hostname: given.tlsHostname };
      finish(await handlers.monitor({ target, token, tls, objects: given.object ?? [] }));
    });
  for (const [name, description] of controls) {
    root
      .command(name)
      .description(description)
      .argument("<name>", "the guest", value.guestName)
      .action(async (guest: string) => finish(await handlers[name](guest)));
  }
}

function usageMessage(program: ProgramName, error: CommanderError): string {
  if (error.code === "commander.help") return `A command is missing; see ${program} --help`;
  const [sentence = ""] = error.message.replace(/^error: /u, "").split("\n");
  return `${sentence}${sentence.endsWith(".") ? "" : ";"} See ${program} --help`.replace("; See", "; see");
}
