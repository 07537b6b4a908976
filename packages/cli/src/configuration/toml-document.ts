import { getStaticTOMLValue, ParseError, parseTOML } from "toml-eslint-parser";
import type { AST } from "toml-eslint-parser";

/** Names of keys, and places in lists. */
export type TomlPath = readonly (string | number)[];

/** What a file says, and in which line. */
export interface TomlDocument {
  readonly value: Readonly<Record<string, unknown>>;
  /** Line of what stands at `path`, or of the nearest around it; from 1 on. */
  lineOf(path: TomlPath): number;
}

/** A text that is not TOML 1.0. */
export class TomlError extends Error {
  /** From 1 on. */
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

/** Errors: TomlError. */
export function parseToml(text: string): TomlDocument {
  let tree: AST.TOMLProgram;
  try {
    tree = parseTOML(text, { tomlVersion: "1.0" });
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new TomlError(error.message, error.lineNumber);
  }
  const lines = new Map<string, number>();
  for (const node of tree.body[0].body) note(node, [], lines);
  return {
    value: getStaticTOMLValue(tree),
    lineOf(path) {
      for (let length = path.length; length > 0; length--) {
        const line = lines.get(keyOf(path.slice(0, length)));
        if (line !== undefined) return line;
      }
      return 1;
    },
  };
}

/** Each path gets the line where it stands first. */
function note(node: AST.TOMLTable | AST.TOMLKeyValue, above: TomlPath, lines: Map<string, number>): void {
  if (node.type === "TOMLTable") {
    noteAll([], node.resolvedKey, node.loc.start.line, lines);
    for (const inner of node.body) note(inner, node.resolvedKey, lines);
    return;
  }
  const keys = node.key.keys.map((key) => (key.type === "TOMLBare" ? key.name : key.value));
  noteAll(above, keys, node.loc.start.line, lines);
  noteContent(node.value, [...above, ...keys], lines);
}

function noteContent(node: AST.TOMLContentNode, path: TomlPath, lines: Map<string, number>): void {
  if (node.type === "TOMLArray") {
    for (const [place, item] of node.elements.entries()) {
      noteAll(path, [place], item.loc.start.line, lines);
      noteContent(item, [...path, place], lines);
    }
  } else if (node.type === "TOMLInlineTable") {
    for (const inner of node.body) note(inner, path, lines);
  }
}

function noteAll(above: TomlPath, keys: TomlPath, line: number, lines: Map<string, number>): void {
  for (let length = 1; length <= keys.length; length++) {
    const key = keyOf([...above, ...keys.slice(0, length)]);
    if (!lines.has(key)) lines.set(key, line);
  }
}

function keyOf(path: TomlPath): string {
  return JSON.stringify(path);
}
