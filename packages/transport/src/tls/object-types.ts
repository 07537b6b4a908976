import { MigrationError } from "@peregrine/protocol";
import { resolve } from "node:path";
import * as v from "valibot";
import { AUTHORIZATION_LIST, parseList, readList } from "./authorization-list.ts";
import type { Authorization, TlsCredentials } from "./credentials.ts";
import { loadCredentials } from "./load-credentials.ts";
import type { ObjectProperties } from "./object-properties.ts";

/** What can be made with `object-add` and `--object`. */
export type SecurityObject =
  | { readonly kind: "credentials"; readonly credentials: TlsCredentials }
  | { readonly kind: "authorization"; readonly authorization: Authorization };

/** QEMU's name of a client that was given no other one. */
const DEFAULT_USERNAME = "qemu";

const ID = v.pipe(v.string(), v.regex(/^[A-Za-z][\w.-]*$/u));
const PATH = v.pipe(v.string(), v.nonEmpty());
const ENDPOINT = v.optional(v.picklist(["client", "server"]), "client");

/** A command line has only texts. */
const FLAG = v.union([
  v.boolean(),
  v.pipe(
    v.picklist(["on", "off", "yes", "no", "true", "false"]),
    v.transform((text) => text === "on" || text === "yes" || text === "true"),
  ),
]);

const TYPES = v.variant("qom-type", [
  v.strictObject({
    "qom-type": v.literal("tls-creds-x509"),
    id: ID,
    dir: PATH,
    endpoint: ENDPOINT,
    "verify-peer": v.optional(FLAG, true),
  }),
  v.strictObject({
    "qom-type": v.literal("tls-creds-psk"),
    id: ID,
    dir: PATH,
    endpoint: ENDPOINT,
    username: v.exactOptional(v.pipe(v.string(), v.nonEmpty())),
  }),
  v.strictObject({
    "qom-type": v.literal("authz-simple"),
    id: ID,
    identity: v.pipe(v.string(), v.nonEmpty()),
  }),
  v.strictObject({ "qom-type": v.literal("authz-list"), id: ID, ...AUTHORIZATION_LIST }),
  v.strictObject({
    "qom-type": v.literal("authz-list-file"),
    id: ID,
    filename: PATH,
    refresh: v.optional(FLAG, true),
  }),
]);

type Definition = v.InferOutput<typeof TYPES>;

/** Makes an object. Errors: BAD_PARAMETER; BAD_CREDENTIALS when its files cannot be used. */
export async function createObject(
  properties: ObjectProperties,
): Promise<SecurityObject & { readonly id: string }> {
  const definition = v.safeParse(TYPES, properties, { abortEarly: true });
  if (!definition.success) throw new MigrationError("BAD_PARAMETER", describe(definition.issues[0]));
  return { id: definition.output.id, ...(await make(definition.output)) };
}

async function make(definition: Definition): Promise<SecurityObject> {
  const { id } = definition;
  switch (definition["qom-type"]) {
    case "tls-creds-x509": {
      const { dir, endpoint, "verify-peer": verifyPeer } = definition;
      const source = { kind: "x509", id, directory: resolve(dir), endpoint, verifyPeer } as const;
      return { kind: "credentials", credentials: await loadCredentials(source) };
    }
    case "tls-creds-psk": {
      const { dir, endpoint, username = DEFAULT_USERNAME } = definition;
      if (endpoint === "server" && definition.username !== undefined) {
        throw new MigrationError("BAD_PARAMETER", "Parameter 'username' is for the endpoint 'client'");
      }
      const source = { kind: "psk", id, directory: resolve(dir), endpoint, username } as const;
      return { kind: "credentials", credentials: await loadCredentials(source) };
    }
    case "authz-simple":
      return {
        kind: "authorization",
        authorization: { kind: "simple", id, identity: definition.identity },
      };
    case "authz-list": {
      const { rules, policy } = definition;
      return { kind: "authorization", authorization: { kind: "list", id, rules, policy } };
    }
    default: {
      const path = resolve(definition.filename);
      const contents = await readList(path);
      parseList(contents, path);
      const kept = definition.refresh ? undefined : contents;
      return { kind: "authorization", authorization: { kind: "list-file", id, path, contents: kept } };
    }
  }
}

function describe(issue: v.InferIssue<typeof TYPES>): string {
  const name = v.getDotPath(issue) ?? "object";
  if (issue.expected === "never") return `Parameter '${name}' is unexpected`;
  if (issue.received === "undefined") return `Parameter '${name}' is missing`;
  if (typeof issue.input === "string") return `Parameter '${name}' does not accept value '${issue.input}'`;
  return `Invalid parameter type for '${name}', expected: ${issue.expected ?? "another"}`;
}
