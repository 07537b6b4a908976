import type { Preopen } from "@peregrine/machine-wasm";
import { MigrationError } from "@peregrine/protocol";
import { Command, CommanderError } from "commander";
import type { OutputConfiguration } from "commander";
import type { AgentCommandOptions, CommandHandlers } from "./command-options.ts";
import * as value from "./option-values.ts";
import { VERSION } from "./version.ts";

/** MiB of stack for a guest: what it has, and the most it can have. */
const DEFAULT_STACK_MIB = 64;
const MOST_STACK_MIB = 1024;
const MOST_DOWNTIME_MS = 2_000_000;

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
    await commandOf(program, handlers, finish, output).parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw new MigrationError("USAGE", usageMessage(program, error), { cause: error });
  }
  return status;
}

type Finish = (status: number) => void;

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
    .version(`peregrine ${VERSION}`);
  if (program === "source-agent") return defineRun(root, handlers, finish);
  if (program === "dest-agent") return defineReceive(root, handlers, finish);
  root.description("Moves running programs from one process to another.");
  defineRun(root.command("run"), handlers, finish);
  defineReceive(root.command("receive"), handlers, finish);
  defineMigrate(root.command("migrate"), handlers, finish);
  defineObservers(root, handlers, finish);
  defineControls(root, handlers, finish);
  return root;
}

function defineRun(command: Command, handlers: CommandHandlers, finish: Finish): Command {
  return agentOptions(command)
    .description("Runs a WASI program so that it can be migrated. Its exit status is the program's.")
    .argument("<program.wasm>", "the module")
    .argument("[args...]", "arguments for the program, after --")
    .option("--env <K=V>", "set an environment variable; may be repeated", value.each(value.environmentEntry))
    .option("--stack <MiB>", "stack of the program", value.wholeNumber(1, MOST_STACK_MIB), DEFAULT_STACK_MIB)
    .option("--no-migrate", "run the module unmodified; it can do more, and cannot be migrated or stopped")
    .action(async (program: string, args: string[], given: RunFlags) => {
      const { env: environment = [], stack: stackMib, migrate: migratable } = given;
      finish(await handlers.run({ ...common(given), program, args, environment, stackMib, migratable }));
    });
}

function defineReceive(command: Command, handlers: CommandHandlers, finish: Finish): Command {
  return agentOptions(command)
    .description("Waits for a guest to arrive, and runs it. Its exit status is the guest's.")
    .argument("<uri>", "where to wait: tcp:HOST:PORT, with port 0 for any, or unix:PATH")
    .action(async (uri: string, given: AgentFlags) =>
      finish(await handlers.receive({ ...common(given), uri })),
    );
}

interface AgentFlags {
  readonly name?: string;
  readonly dir?: readonly Preopen[];
  readonly qmp?: readonly string[];
  readonly keep?: boolean;
  readonly paused?: boolean;
}

interface RunFlags extends AgentFlags {
  readonly env?: readonly string[];
  readonly stack: number;
  readonly migrate: boolean;
}

function agentOptions(command: Command): Command {
  return command
    .option("--name <name>", "name of the guest on this host", value.guestName)
    .option("--dir <HOST::GUEST>", "give the guest a directory; may be repeated", value.each(value.directory))
    .option("--qmp <address>", "also serve QMP there; may be repeated", value.each(value.monitorAddress))
    .option("--keep", "stay after the guest has moved away")
    .option("-S, --paused", "do not start the guest before `peregrine cont`");
}

function common({ name, dir = [], qmp = [], keep = false, paused = false }: AgentFlags): AgentCommandOptions {
  return { name, directories: dir, monitors: qmp, keep, paused };
}

interface MigrateFlags {
  readonly bandwidth: number;
  readonly downtime?: number;
  readonly json?: boolean;
}

function defineMigrate(command: Command, handlers: CommandHandlers, finish: Finish): void {
  command
    .description("Moves a guest, and shows how it goes. Ends with status 0 when the guest has moved.")
    .argument("<name>", "the guest", value.guestName)
    .argument("<uri>", "where it is received: tcp:HOST:PORT or unix:PATH")
    .option("--bandwidth <bytes>", "bytes per second, such as 64M; 0 is unlimited", value.bandwidth, 0)
    .option("--downtime <ms>", "how long the guest may stand still", value.wholeNumber(0, MOST_DOWNTIME_MS))
    .option("--json", "print one JSON object per line")
    .action(async (name: string, uri: string, { bandwidth, downtime, json = false }: MigrateFlags) =>
      finish(await handlers.migrate({ name, uri, bandwidth, downtime, json })),
    );
}

interface FormatFlags {
  readonly json?: boolean;
}

function defineObservers(root: Command, handlers: CommandHandlers, finish: Finish): void {
  root
    .command("info")
    .description("Shows what is known about a guest.")
    .argument("<name>", "the guest", value.guestName)
    .option("--json", "as JSON")
    .action(async (name: string, { json = false }: FormatFlags) =>
      finish(await handlers.info(name, { json })),
    );
  root
    .command("list")
    .description("Lists the guests of this user.")
    .option("--json", "as JSON")
    .action(async ({ json = false }: FormatFlags) => finish(await handlers.list({ json })));
}

function defineControls(root: Command, handlers: CommandHandlers, finish: Finish): void {
  const controls = [
    ["cancel", "Cancels the migration of a guest; the guest runs on where it is."],
    ["stop", "Pauses a guest."],
    ["cont", "Starts or continues a guest."],
    ["quit", "Ends a guest and its agent."],
  ] as const;
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
