import { MigrationError } from "@peregrine/protocol";
import * as v from "valibot";
import { readSmallFile } from "./credential-files.ts";
import type { AuthorizationRule, Policy } from "./credentials.ts";

const POLICY = v.picklist(["allow", "deny"]);

/** What the properties of an `authz-list` and the contents of the file of an `authz-list-file` are. */
export const AUTHORIZATION_LIST = {
  policy: v.optional(POLICY, "deny"),
  rules: v.optional(
    v.array(
      v.strictObject({
        match: v.string(),
        policy: POLICY,
        format: v.optional(v.picklist(["exact", "glob"]), "exact"),
      }),
    ),
    [],
  ),
};

// To the library a list is an object, too.
const LIST_FILE = v.pipe(
  v.custom<object>((value) => !Array.isArray(value)),
  v.strictObject(AUTHORIZATION_LIST),
);

/** Errors: BAD_CREDENTIALS. */
export function readList(path: string): Promise<string> {
  return readSmallFile(path, "a list of rules");
}

/** Errors: BAD_CREDENTIALS. */
export function parseList(
  text: string,
  path: string,
): { readonly rules: readonly AuthorizationRule[]; readonly policy: Policy } {
  let contents: unknown;
  try {
    contents = JSON.parse(text);
  } catch (cause) {
    throw new MigrationError("BAD_CREDENTIALS", `'${path}' is not JSON`, { cause });
  }
  const list = v.safeParse(LIST_FILE, contents, { abortEarly: true });
  if (list.success) return list.output;
  const place = v.getDotPath(list.issues[0]) ?? "all of it";
  throw new MigrationError(
    "BAD_CREDENTIALS",
    `'${path}' is no list of rules: ${place} does not fit {"policy": "deny", "rules": [{"match": NAME, "policy": "allow", "format": "glob"}]}`,
  );
}
