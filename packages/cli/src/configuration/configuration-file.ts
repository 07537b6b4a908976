import { MigrationError } from "@peregrine/protocol";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import * as v from "valibot";
import type { ConfigurationKey, FlagValue } from "./configuration-keys.ts";
import { parseToml, TomlError } from "./toml-document.ts";
import type { TomlDocument } from "./toml-document.ts";

/** Bytes of a configuration file. */
export const MOST_BYTES = 1024 * 1024;

const OTHERS_MAY_WRITE = 0o002;

/** What one key says. */
export interface Setting {
  readonly key: ConfigurationKey;
  readonly value: FlagValue;
  /** What stands in the file is wrong, for a reason that is found later. Names the key and the line. */
  refuse(why: string, place?: number): MigrationError;
}

/**
 * Reads a configuration file in TOML. It decides what this user's agent runs, so nobody else may write to it.
 * @param keys those that the command has. @returns what is set, by the names of keys.
 * Errors: BAD_CONFIGURATION.
 */
export async function readConfiguration(
  path: string,
  keys: readonly ConfigurationKey[],
  command: string,
): Promise<ReadonlyMap<string, Setting>> {
  const document = parse(path, await contentsOf(path));
  const entries = Object.fromEntries(keys.map(({ name, schema }) => [name, v.optional(schema)]));
  const result = v.safeParse(v.strictObject(entries), document.value);
  if (!result.success) throw refusal(path, document, result.issues[0], command);
  const settings = keys.flatMap((key) => {
    const value = result.output[key.name];
    if (value === undefined) return [];
    const refuse = (why: string, place?: number): MigrationError =>
      wrong(path, document.lineOf(place === undefined ? [key.name] : [key.name, place]), key.name, why);
    return [[key.name, { key, value, refuse }] as const];
  });
  return new Map(settings);
}

function parse(path: string, text: string): TomlDocument {
  try {
    return parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new MigrationError("BAD_CONFIGURATION", `${path}:${error.line}: it is no TOML: ${error.message}`, {
      cause: error,
    });
  }
}

function refusal(
  path: string,
  document: TomlDocument,
  issue: v.BaseIssue<unknown>,
  command: string,
): MigrationError {
  const where = (issue.path ?? []).map(({ key }) => key as string | number);
  const line = document.lineOf(where);
  const name = String(where[0]);
  if (issue.type === "strict_object") {
    const text = `${path}:${line}: there is no key '${name}' for ${command}; docs/configuration.md lists them`;
    return new MigrationError("BAD_CONFIGURATION", text);
  }
  return wrong(path, line, name, issue.message);
}

function wrong(path: string, line: number, name: string, why: string): MigrationError {
  return new MigrationError("BAD_CONFIGURATION", `${path}:${line}: the key '${name}' is wrong: ${why}`);
}

async function contentsOf(path: string): Promise<string> {
  try {
    // A pipe would be waited for.
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await handle.stat();
    if (!stat.isFile()) throw unusable(path, "is not a regular file");
    if ((stat.mode & OTHERS_MAY_WRITE) !== 0) {
      throw unusable(path, `can be changed by every user of this host; run chmod o-w ${path}`);
    }
    const bytes = Buffer.alloc(Math.min(stat.size, MOST_BYTES) + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length);
      length += bytesRead;
      if (bytesRead === 0 || length === bytes.length) break;
    }
    if (length > MOST_BYTES) throw unusable(path, `has more than ${MOST_BYTES} bytes`);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length));
  } catch (cause) {
    if (MigrationError.is(cause)) throw cause;
    const { code = "it is not UTF-8" } = cause as NodeJS.ErrnoException;
    throw unusable(path, `cannot be read: ${REASONS[code] ?? code}`, cause);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  ERR_ENCODING_INVALID_ENCODED_DATA: "it is not UTF-8",
};

function unusable(path: string, why: string, cause?: unknown): MigrationError {
  return new MigrationError("BAD_CONFIGURATION", `The configuration file ${path} ${why}`, { cause });
}
