import { MigrationError } from "@peregrine/protocol";

/** Properties of an object as they are given: of a command line all are texts. */
export type ObjectProperties = Readonly<Record<string, unknown>>;

/** Names with a meaning for JavaScript's own objects are no keys here. */
const KEY = /^[A-Za-z][\w-]*$/u;
const INDEX = /^\d{1,4}$/u;

type Tree = Map<string, string | Tree>;

/**
 * `TYPE,id=ID,KEY=VALUE,...` as on QEMU's command line, or the same as one JSON object with `qom-type`. A comma in a
 * value is doubled; `rules.0.match=NAME` is a key of the first member of a list. Errors: BAD_PARAMETER.
 */
export function parseObject(text: string): ObjectProperties {
  if (text.trimStart().startsWith("{")) return parseJson(text);
  // No text of a command line has a zero byte.
  const [type = "", ...parts] = text.replaceAll(",,", "\0").split(",");
  if (type === "" || type.includes("="))
    throw bad("An object begins with its type, such as tls-creds-x509,id=tls0");
  const tree: Tree = new Map();
  for (const part of parts) {
    const at = part.indexOf("=");
    if (at < 1) throw bad(`'${part.replaceAll("\0", ",")}' has to be KEY=VALUE`);
    put(tree, part.slice(0, at), part.slice(at + 1).replaceAll("\0", ","));
  }
  return { "qom-type": type, ...(plain(tree) as ObjectProperties) };
}

function parseJson(text: string): ObjectProperties {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MigrationError("BAD_PARAMETER", "An object that begins with { has to be JSON", { cause });
  }
  return value as ObjectProperties;
}

/** `a.0.b` is the member `b` of the first member of the list `a`. */
function put(tree: Tree, key: string, value: string): void {
  const path = key.split(".");
  let node = tree;
  for (const [depth, name] of path.entries()) {
    if (!(depth === 0 ? KEY : /^(?:\d{1,4}|[A-Za-z][\w-]*)$/u).test(name))
      throw bad(`'${key}' is no name of a property`);
    const last = depth === path.length - 1;
    const found = node.get(name);
    if (last ? found !== undefined : typeof found === "string") throw bad(`'${key}' was given twice`);
    if (last) {
      node.set(name, value);
      return;
    }
    const next = (found as Tree | undefined) ?? new Map<string, string | Tree>();
    node.set(name, next);
    node = next;
  }
}

/** Maps as objects, or as lists where all keys are numbers from 0 on. */
function plain(tree: Tree): unknown {
  const entries = [...tree].map(
    ([name, value]) => [name, typeof value === "string" ? value : plain(value)] as const,
  );
  const isList = entries.length > 0 && entries.every(([name]) => INDEX.test(name));
  if (!isList) return Object.fromEntries(entries);
  const list = entries.toSorted(([one], [other]) => Number(one) - Number(other));
  if (list.some(([name], index) => Number(name) !== index))
    throw bad("The members of a list are numbered from 0 on");
  return list.map(([, value]) => value);
}

function bad(text: string): MigrationError {
  return new MigrationError("BAD_PARAMETER", text);
}
