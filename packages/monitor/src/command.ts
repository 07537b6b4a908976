import { MigrationError } from "@peregrine/protocol";
import type { Direction, ReceivedDescriptors } from "@peregrine/transport";
import * as v from "valibot";

const INT64_LIMIT = 2 ** 63;

type MaybePromise<T> = T | Promise<T>;

/** One command of the monitor. */
export interface Command {
  readonly name: string;
  readonly entries: ArgumentEntries;
  /**
   * Checks the arguments and carries the command out. What it returns is the answer, undefined is `{}`.
   * @param client who gave the command. Default: somebody who hands nothing over.
   */
  run(args: Readonly<Record<string, unknown>>, client?: CommandClient): MaybePromise<unknown>;
}

/** What a command can have of its client. */
export interface CommandClient {
  /** Those that came with the command. Undefined where none can come. */
  readonly descriptors?: ReceivedDescriptors | undefined;
  /** Whether it came by a unix socket, so that it is the agent's own user on its own host. Default: false. */
  readonly isOwner?: boolean;
  /** Resolves, never rejects, once it is gone. Undefined where that cannot be known. */
  readonly closed?: Promise<void> | undefined;
}

/** Refuses what the agent is not to open for a client. */
export interface OpeningChecks {
  /** Errors: EXEC_NOT_ALLOWED, NOT_FROM_NETWORK. */
  uri(uri: string, direction: Direction, client: CommandClient): void;
  /** `property`: what names a file or a directory of the agent's host. Errors: NOT_FROM_NETWORK. */
  path(property: string, client: CommandClient): void;
}

/** Commands by their names. */
export type CommandTable = ReadonlyMap<string, Command>;

/** The arguments of a command: every key it knows, and its type. Keys that are not listed are refused. */
export type ArgumentEntries = v.ObjectEntries;

type ArgumentsOf<Entries extends ArgumentEntries> = v.InferOutput<v.StrictObjectSchema<Entries, undefined>>;

/** The command that ends a client's negotiation. */
export const NEGOTIATION_COMMAND = "qmp_capabilities";

/** Declares a command. `handler` is called with arguments that fit `entries`. */
export function defineCommand<const Entries extends ArgumentEntries>(
  name: string,
  entries: Entries,
  handler: (args: ArgumentsOf<Entries>, client: CommandClient) => MaybePromise<unknown>,
): Command {
  const schema = v.strictObject(entries);
  return {
    name,
    entries,
    run(args, client = {}) {
      const result = v.safeParse(schema, args, { abortEarly: true });
      if (result.success) return handler(result.output, client);
      throw new MigrationError("BAD_PARAMETER", describeIssue(result.issues[0]));
    },
  };
}

export function commandTable(commands: readonly Command[]): CommandTable {
  return new Map(commands.map((command) => [command.name, command]));
}

/** A 64-bit integer. Beyond 2^53 JSON rounds it, which a rate or a size can bear. */
export function integer(): v.GenericSchema<number> {
  return v.custom<number>(
    (value) => Number.isInteger(value) && Math.abs(value as number) <= INT64_LIMIT,
    "integer",
  );
}

function describeIssue(issue: v.BaseIssue<unknown>): string {
  const name = pathOf(issue);
  if (issue.expected === "never") return `Parameter '${name}' is unexpected`;
  if (issue.received === "undefined") return `Parameter '${name}' is missing`;
  if (isChoice(issue) && typeof issue.input === "string") {
    return `Parameter '${name.replace(/^.*\./u, "")}' does not accept value '${issue.input}'`;
  }
  return `Invalid parameter type for '${name}', expected: ${expectedType(issue)}`;
}

/** `capabilities[0].state` */
function pathOf(issue: v.BaseIssue<unknown>): string {
  return (issue.path ?? []).reduce((path, { key }) => {
    if (typeof key === "number") return `${path}[${key}]`;
    return path === "" ? String(key) : `${path}.${String(key)}`;
  }, "");
}

/** One of several words is expected. */
function isChoice({ type }: v.BaseIssue<unknown>): boolean {
  return type === "picklist" || type === "variant";
}

function expectedType(issue: v.BaseIssue<unknown>): string {
  switch (issue.type) {
    case "custom":
      return issue.message;
    case "strict_object":
      return "object";
    case "picklist":
    case "variant":
      return "string";
    default:
      return issue.type;
  }
}
