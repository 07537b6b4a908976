import { MigrationError } from "@peregrine/protocol";

/** One command as a client sent it. */
export interface Request {
  readonly execute: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

const MEMBERS: ReadonlySet<string> = new Set(["execute", "arguments", "id"]);

/** Checks the envelope of a command, not its arguments. Errors: BAD_COMMAND. */
export function parseRequest(value: unknown): Request {
  if (!isObject(value)) throw refusal("QMP input must be a JSON object");
  for (const member of Object.keys(value)) {
    if (!MEMBERS.has(member)) throw refusal(`QMP input member '${member}' is unexpected`);
  }
  const { execute, arguments: args = {} } = value;
  if (execute === undefined) throw refusal("QMP input lacks member 'execute'");
  if (typeof execute !== "string") throw refusal("QMP input member 'execute' must be a string");
  if (!isObject(args)) throw refusal("QMP input member 'arguments' must be an object");
  return { execute, arguments: args };
}

/** The `id` that is echoed, as an object to be spread into the answer. */
export function echoedId(value: unknown): { readonly id?: unknown } {
  return isObject(value) && "id" in value ? { id: value["id"] } : {};
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refusal(text: string): MigrationError {
  return new MigrationError("BAD_COMMAND", text);
}
