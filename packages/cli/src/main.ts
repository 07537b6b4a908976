import { MigrationError } from "@peregrine/protocol";
import { execute } from "./command-line.ts";
import type { ProgramName } from "./command-line.ts";
import type { CommandHandlers } from "./command-options.ts";
import { controlCommand } from "./commands/control.ts";
import { sayError } from "./commands/say.ts";
import { setOutput } from "./log/output.ts";

const USAGE_STATUS = 2;

/** Each command loads what it needs: one that only asks an agent starts in half the time. */
const HANDLERS: CommandHandlers = {
  run: async (options) => {
    await setOutput(options.log);
    return (await import("./commands/run.ts")).runCommand(options);
  },
  receive: async (options) => {
    await setOutput(options.log);
    return (await import("./commands/receive.ts")).receiveCommand(options);
  },
  relay: async (options) => {
    await setOutput(options.log);
    return (await import("./commands/relay.ts")).relayCommand(options);
  },
  migrate: async (options) => (await import("./commands/migrate.ts")).migrateCommand(options),
  checkpoint: async (options) => (await import("./commands/checkpoint.ts")).checkpointCommand(options),
  resolve: async (name, options) => (await import("./commands/resolve.ts")).resolveCommand(name, options),
  doctor: async (options) => (await import("./commands/doctor.ts")).doctorCommand(options),
  info: async (name, options) => (await import("./commands/info.ts")).infoCommand(name, options),
  inspect: async (options) => (await import("./commands/inspect.ts")).inspectCommand(options),
  list: async (options) => (await import("./commands/list.ts")).listCommand(options),
  monitor: async (options) => (await import("./commands/monitor.ts")).monitorCommand(options),
  dashboard: async (options) => (await import("./commands/dashboard.ts")).dashboardCommand(options),
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
    sayError(known, error);
    return known.code === "USAGE" || known.code === "BAD_CONFIGURATION" ? USAGE_STATUS : 1;
  }
}
