import { MigrationError } from "@peregrine/protocol";

/** The parameters of a migration that are texts, as they are at first. */
export const TEXT_PARAMETERS = {
  /** Id of the credentials for TLS. */
  "tls-creds": "",
  /** Name that the destination's certificate has to have; empty: the host that is dialled. */
  "tls-hostname": "",
  /** Id of the object that says which clients may connect; empty: all whose certificate is in order. */
  "tls-authz": "",
} as const;

export type TextParameterName = keyof typeof TEXT_PARAMETERS;

export type TextParameterValues = { readonly [N in TextParameterName]: string };

/** Characters: ids and names of hosts have far fewer. */
const MAX_TEXT = 1024;

export function isTextParameter(name: string): name is TextParameterName {
  return Object.hasOwn(TEXT_PARAMETERS, name);
}

/** What a client's value is held as. `null` is the same as an empty text. Errors: BAD_PARAMETER. */
export function checkText(name: TextParameterName, value: unknown): string {
  if (value === null) return "";
  if (typeof value !== "string") throw bad(`Invalid parameter type for '${name}', expected: string`);
  if (value.length <= MAX_TEXT) return value;
  throw bad(`Parameter '${name}' expects a text of at most ${MAX_TEXT} characters`);
}

function bad(message: string): MigrationError {
  return new MigrationError("BAD_PARAMETER", message);
}
