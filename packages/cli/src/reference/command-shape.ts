import type { Argument, Command, Option } from "commander";

/** What stands in the place of a value, for a shell to offer. */
export type ValueKind = "guest" | "file" | "directory" | "module" | "uri" | "other";

/** The value of an option, or an argument. */
export interface ValueShape {
  /** As help shows it, without brackets. */
  readonly name: string;
  readonly required: boolean;
  readonly variadic: boolean;
  /** All values that are allowed; empty: any. */
  readonly choices: readonly string[];
  readonly kind: ValueKind;
  readonly description: string;
}

/** An option of a command. */
export interface OptionShape {
  /** `-o` */
  readonly short: string | undefined;
  /** `--output`. An option without it has only the short form. */
  readonly long: string | undefined;
  /** As help shows it: `-o, --output <file>`. */
  readonly flags: string;
  readonly value: ValueShape | undefined;
  readonly description: string;
  /** What holds when it is not given, in words. */
  readonly defaultText: string | undefined;
  readonly repeatable: boolean;
}

/** A command as it is defined, as data: what help, man pages and shells are made of. */
export interface CommandShape {
  readonly name: string;
  readonly description: string;
  readonly arguments: readonly ValueShape[];
  readonly options: readonly OptionShape[];
  readonly commands: readonly CommandShape[];
}

const ARGUMENT_KINDS: Readonly<Record<string, ValueKind>> = {
  name: "guest",
  stream: "file",
  channels: "file",
  file: "file",
  "program.wasm": "module",
  uri: "uri",
  in: "uri",
  out: "uri",
};

/** By what stands for the value. A `<name>` is that of a guest in few options, which are listed by themselves. */
const OPTION_KINDS: Readonly<Record<string, ValueKind>> = {
  file: "file",
  directory: "directory",
  "HOST::GUEST": "directory",
};
const GUEST_OPTIONS = ["--peer"];

/** @param command with its options and subcommands defined; `help` of the parser itself is left out. */
export function commandShape(command: Command): CommandShape {
  return {
    name: command.name(),
    description: command.description(),
    arguments: command.registeredArguments.map(argumentShape),
    options: command
      .createHelp()
      .visibleOptions(command)
      .map((option) => optionShape(option)),
    commands: command.commands.map(commandShape),
  };
}

function argumentShape(argument: Argument): ValueShape {
  const name = argument.name();
  return {
    name,
    required: argument.required,
    variadic: argument.variadic,
    choices: argument.argChoices ?? [],
    kind: ARGUMENT_KINDS[name] ?? "other",
    description: argument.description,
  };
}

function optionShape(option: Option): OptionShape {
  const { short, long, flags, description, defaultValue } = option;
  const placeholder = /[<[]=?(?<name>.+)[>\]]$/u.exec(flags)?.groups?.["name"];
  const isGuest = GUEST_OPTIONS.includes(long ?? "");
  const value =
    placeholder === undefined
      ? undefined
      : {
          name: placeholder,
          required: option.required,
          variadic: option.variadic,
          choices: option.argChoices ?? [],
          kind: isGuest ? "guest" : (OPTION_KINDS[placeholder] ?? "other"),
          description,
        };
  const hasDefault = value !== undefined && defaultValue !== undefined;
  return {
    short,
    long,
    flags,
    value,
    description,
    defaultText: hasDefault ? (option.defaultValueDescription ?? String(defaultValue)) : undefined,
    repeatable: description.includes("may be repeated") || description.includes("repeat it"),
  };
}
