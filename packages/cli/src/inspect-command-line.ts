import { Option } from "commander";
import type { Command } from "commander";
import type { CommandHandlers, Finish } from "./command-options.ts";
import type { InspectTask } from "./inspect-options.ts";
import * as value from "./option-values.ts";

interface InspectFlags {
  readonly json?: boolean;
  readonly verify?: boolean;
  readonly device?: string;
  readonly diff?: readonly string[];
  readonly ram?: string;
  readonly output?: string;
  readonly force?: boolean;
  readonly salvage?: boolean;
  readonly maxRam: number;
}

/** Bytes of guest memory: what is kept of each page is 32 MiB for so much, and 2 GiB for a comparison. */
const MOST_RAM = 2 ** 40;

/** The flags that say what is to be done; one of them at most. */
const TASKS = ["verify", "device", "diff", "ram"] as const;

/** `peregrine inspect`. */
export function defineInspect(command: Command, handlers: CommandHandlers, finish: Finish): void {
  command
    .description("Shows what a migration stream holds: sections, RAM passes, devices.")
    .argument("<stream>", "a file, or - for the standard input")
    .argument("[channels...]", "the multifd channels of the same migration, in any order")
    .option("--json", "print one JSON object per line")
    .option("--device <name>", "show the fields of a device; NAME/INSTANCE shows one of several")
    .option("--ram <block>", "write the contents of a RAM block to the file of -o")
    .option("-o, --output <file>", "where --ram writes")
    .option("--force", "replace that file if it is there")
    .option("--salvage", "keep what could be read when the stream is damaged or cut off")
    .option("--diff <file>", "compare with another stream; repeat it for its channels", value.each(String))
    .option("--verify", "check everything; one line, and status 1 for the first fault")
    .addOption(
      new Option("--max-ram <bytes>", "refuse a stream with more guest memory; a bit is kept for each page")
        .argParser(value.memorySize)
        .default(MOST_RAM, "1024G"),
    )
    .action(async (stream: string, channels: string[], flags: InspectFlags) => {
      const { json = false, maxRam } = flags;
      const paths = [stream, ...channels];
      finish(await handlers.inspect({ paths, maxRam, json, task: taskOf(command, flags) }));
    });
}

function taskOf(command: Command, flags: InspectFlags): InspectTask {
  const { verify, device, diff, ram, output, force = false, salvage = false } = flags;
  const [first, second] = TASKS.filter((flag) => flags[flag] !== undefined);
  if (first !== undefined && second !== undefined) {
    command.error(`error: options '--${first}' and '--${second}' exclude each other`);
  }
  if (ram !== undefined) {
    if (output === undefined) command.error("error: option '--ram <block>' needs -o, where it writes");
    return { kind: "ram", block: ram, output, force, salvage };
  }
  if (output !== undefined) command.error("error: option '-o, --output <file>' is for --ram");
  if (force) command.error("error: option '--force' is for --ram");
  if (salvage) command.error("error: option '--salvage' is for --ram");
  if (device !== undefined) return { kind: "device", device };
  if (diff !== undefined) return { kind: "diff", paths: diff };
  return verify === true ? { kind: "verify" } : { kind: "report" };
}
