import { MigrationError } from "@peregrine/protocol";
import { execute } from "./command-line.ts";
import type { ProgramName } from "./command-line.ts";
import type { CommandHandlers } from "./command-options.ts";
import { controlCommand } from "./commands/control.ts";
import { infoCommand } from "./commands/info.ts";
import { listCommand } from "./commands/list.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { receiveCommand } from "./commands/receive.ts";
import { runCommand } from "./commands/run.ts";
import { sayError } from "./commands/say.ts";

const USAGE_STATUS = 2;

const HANDLERS: CommandHandlers = {
  run: runCommand,
  receive: receiveCommand,
  migrate: migrateCommand,
  info: infoCommand,
  list: listCommand,
  cancel: (name) => controlCommand(name, "migrate_cancel"),
  stop: (name) => controlCommand(name, "stop"),
  cont: (name) => controlCommand(name, "cont"),
  quit: (name) => controlCommand(name, "quit"),
};

/** Carries out the command line of this process and ends the process with its status. */
export async function main(program: ProgramName): Promise<never> {
  process.exit(await statusOf(program, process.argv.slice(2)));
}

async function statusOf(program: ProgramName, args: readonly string[]): Promise<number> {
  try {
    return await execute(program, args, HANDLERS);
  } catch (error) {
    const known = MigrationError.from(error);
    sayError(known);
    // A defect is of no use without where it is.
    if (known.code === "INTERNAL") process.stderr.write(`${String((error as Error).stack)}\n`);
    return known.code === "USAGE" ? USAGE_STATUS : 1;
  }
}
