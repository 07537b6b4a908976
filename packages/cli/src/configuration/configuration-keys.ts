import type { Argument, Command, Option } from "commander";
import * as v from "valibot";
import { isRepeatable } from "../option-values.ts";

/** A value as flags have it: texts, each for one occurrence of the flag, or whether a flag without a value is given. */
export type FlagValue = boolean | readonly string[];

/** One key of a configuration file: a flag or an argument of a command. */
export interface ConfigurationKey {
  readonly name: string;
  /** Of documents: what may stand there. */
  readonly form: string;
  readonly description: string;
  /** Checks what stands in the file, and turns it into what flags have. */
  readonly schema: v.GenericSchema<unknown, FlagValue>;
  readonly target:
    | { readonly kind: "option"; readonly option: Option }
    | { readonly kind: "argument"; readonly argument: Argument };
}

/** They choose the file, or are not about an agent. */
const NO_KEYS: readonly string[] = ["--config", "--version", "--help"];

/** Flags whose value is a list of `KEY=VALUE`, which a file can also have as a table. */
const TABLES: Readonly<Record<string, (table: Readonly<Record<string, Scalar>>) => string>> = {
  drive: listed,
  nic: listed,
  // Objects are also given as JSON, where the type has this key.
  object: (table) => JSON.stringify(table),
};

type Scalar = string | number | boolean;

/** The keys of a command, in the order of its help. There is one for each flag and argument. */
export function configurationKeys(command: Command): readonly ConfigurationKey[] {
  const options = command.options.filter(({ long }) => long !== undefined && !NO_KEYS.includes(long));
  return [...command.registeredArguments.map(keyOfArgument), ...options.map(keyOfOption)];
}

function keyOfArgument(argument: Argument): ConfigurationKey {
  // `program.wasm` says in the help what the file is.
  const name = argument.name().replace(/\..*$/u, "");
  const common = { name, description: argument.description, target: { kind: "argument", argument } as const };
  return argument.variadic ? { ...common, form: "list of texts", schema: LIST } : { ...common, ...ONE };
}

function keyOfOption(option: Option): ConfigurationKey {
  const name = option.long!.replace(/^--(?:no-)?/u, "");
  const common = { name, description: option.description, target: { kind: "option", option } as const };
  if (!option.required && !option.optional) return { ...common, form: "true or false", schema: FLAG };
  if (option.optional)
    return { ...common, form: "true, false or a text", schema: v.union([FLAG, TEXTS], NOT_OPTIONAL) };
  if (!isRepeatable(option.parseArg)) return { ...common, ...ONE };
  if (name === "env") return { ...common, form: "table of texts, or list of K=V", schema: ENVIRONMENT };
  const asText = TABLES[name];
  if (asText === undefined) return { ...common, form: "list of texts", schema: LIST };
  const table = v.pipe(
    v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
    v.transform(asText),
  );
  const item = v.union([v.string(), table], "It has to be a table, or a text as the flag has it.");
  const schema = v.pipe(v.array(item, NOT_TABLES), v.readonly());
  return { ...common, form: "list of tables", schema };
}

const NOT_A_LIST = "It has to be a list of texts.";
const NOT_TABLES = "It has to be a list of tables.";
const NOT_OPTIONAL = "It has to be true, false or a text.";

const TEXT = v.pipe(
  v.union([v.string(), v.number()], "It has to be a text or a number."),
  // A zero byte is of no use in any of them, and separates something in some.
  v.transform(String),
  v.check((text) => !text.includes("\0"), "It must not have a zero byte."),
);
const TEXTS = v.pipe(
  TEXT,
  v.transform((text): readonly string[] => [text]),
);
const ONE = { form: "text or number", schema: TEXTS } as const;
const FLAG = v.boolean("It has to be true or false.");
const LIST = v.pipe(v.array(TEXT, NOT_A_LIST), v.readonly());
const ENVIRONMENT = v.union(
  [
    LIST,
    v.pipe(
      v.record(v.string(), TEXT),
      v.transform((table) => Object.entries(table).map(([name, text]) => `${name}=${text}`)),
      v.readonly(),
    ),
  ],
  "It has to be a table of texts, or a list of K=V.",
);

/** `KEY=VALUE,KEY=VALUE`, as flags have it. */
function listed(table: Readonly<Record<string, Scalar>>): string {
  return Object.entries(table)
    .map(([key, value]) => `${key}=${flagText(value).replaceAll(",", ",,")}`)
    .join(",");
}

function flagText(value: Scalar): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value);
}
