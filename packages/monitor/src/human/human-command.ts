import { MigrationError } from "@peregrine/protocol";
import type { CommandClient } from "../command.ts";

type MaybePromise<T> = T | Promise<T>;

/** Where the text of a command goes. */
export interface Terminal {
  /** Who gives the commands. */
  readonly client: CommandClient;
  /** Lines end with a line feed alone. */
  readonly print: (text: string) => void;
  /** Whether a command may take as long as a migration: nobody else waits for this terminal. */
  readonly waits: boolean;
  /** Aborted when nobody reads the text any more. */
  readonly gone: AbortSignal;
}

/** Carries out a command of QMP for a client; without one, for somebody who may open nothing. Errors: those of the command. */
export type Execute = (
  name: string,
  args?: Readonly<Record<string, unknown>>,
  client?: CommandClient,
) => MaybePromise<unknown>;

/** The words that were given behind a command's name. */
export interface GivenArguments {
  /** Letters of the flags that were given. */
  readonly flags: ReadonlySet<string>;
  /** By the parameters' names. One that is not optional is there. */
  readonly values: Readonly<Record<string, string | undefined>>;
}

/** One command of the human monitor. */
export interface HumanCommand {
  /** The first is its own, the others stand for it. */
  readonly names: readonly [string, ...string[]];
  /** Letters of its flags. */
  readonly flags?: readonly string[];
  /** In their order; those in brackets may be left out. */
  readonly parameters?: readonly string[];
  readonly help: string;
  run(given: GivenArguments, terminal: Terminal): MaybePromise<void>;
}

/** How it is called: `migrate [-d] [-r] uri`. Without parameters a space follows, as in QEMU's lists. */
export function synopsisOf({ names, flags = [], parameters = [] }: HumanCommand): string {
  return `${names.join("|")} ${[...flags.map((flag) => `[-${flag}]`), ...parameters].join(" ")}`;
}

/** Sorts words to a command's flags and parameters. Errors: BAD_COMMAND. */
export function argumentsOf(command: HumanCommand, words: readonly string[]): GivenArguments {
  const { flags: known = [], parameters = [] } = command;
  const flags = new Set<string>();
  const rest = [...words];
  while (rest[0]?.startsWith("-") === true && known.length > 0) {
    const flag = rest.shift()!.slice(1);
    if (!known.includes(flag)) throw misused(command, `unsupported option -${flag}`);
    flags.add(flag);
  }
  const values: Record<string, string> = {};
  for (const parameter of parameters) {
    const word = rest.shift();
    if (word !== undefined) values[parameter.replace(/^\[(.*)\]$/u, "$1")] = word;
    else if (!parameter.startsWith("[")) throw misused(command, "string expected");
  }
  if (rest.length > 0) throw misused(command, "extraneous characters at the end of line");
  return { flags, values };
}

function misused({ names }: HumanCommand, why: string): MigrationError {
  return new MigrationError("BAD_COMMAND", `${names.join("|")}: ${why}`);
}
