/** A block of code in a page, between two fences. */
export interface DocBlock {
  /** File of the page, from the root of the checkout. */
  readonly page: string;
  /** Of its first fence, from 1. */
  readonly line: number;
  readonly language: string;
  /** Words behind the language: `background`, or `status=1`; a value with blanks is in quotes. */
  readonly marks: ReadonlyMap<string, string>;
  readonly text: string;
}

/** What a block of commands may be marked with. All may be left out. */
export const MARKS = [
  /** It goes on while the blocks behind it run. They begin when its guest is there. */
  "background",
  /** What a command in the background prints when it is ready, if it has no guest. */
  "until",
  /** With which status it ends. Default: 0. */
  "status",
  /** What it prints, on either output. */
  "prints",
  /** Why it cannot be run on any machine. Its commands are understood all the same. */
  "not-run",
  /** The file that the block shows, from the root of the checkout. */
  "file",
];

const FENCE = /^( *)```(?<language>[\w-]*)(?<marks>[^`\n]*)\n(?<text>.*?)^\1```$/gmsu;
const MARK = /(?<name>[\w-]+)(?:=(?:"(?<quoted>[^"]*)"|(?<plain>\S+)))?/gu;

/** Commands that the test runs first and a reader does not see: files that a page speaks of. */
const SETUP = /^<!-- sh\n(?<text>.*?)^-->$/gmsu;

/** All blocks of a page, in their order. Hidden ones have the language `sh`, too. */
export function docBlocks(page: string, markdown: string): DocBlock[] {
  const lineOf = (index: number): number => markdown.slice(0, index).split("\n").length;
  const shown = Array.from(markdown.matchAll(FENCE), ({ index, groups = {} }) => ({
    page,
    line: lineOf(index),
    language: groups["language"]!,
    marks: marksOf(groups["marks"]!),
    text: groups["text"]!,
  }));
  const hidden = Array.from(markdown.matchAll(SETUP), ({ index, groups = {} }) => ({
    page,
    line: lineOf(index),
    language: "sh",
    marks: new Map<string, string>(),
    text: groups["text"]!,
  }));
  return [...shown, ...hidden].sort((a, b) => a.line - b.line);
}

function marksOf(text: string): Map<string, string> {
  return new Map(
    Array.from(text.matchAll(MARK), ({ groups = {} }) => [
      groups["name"]!,
      groups["quoted"] ?? groups["plain"] ?? "",
    ]),
  );
}

/** The simple commands of a script, as words without their quotes. Variables stay what they are. */
export function commandsOf(script: string): string[][] {
  const commands: string[][] = [];
  let words: string[] = [];
  const endCommand = (): void => {
    if (words.length > 0) commands.push(words);
    words = [];
  };
  const TOKEN = /\\\n|[ \t]+|#[^\n]*|\n|&&|\|\||[;|&]|(?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\;|&])+/gsu;
  for (const [token] of script.matchAll(TOKEN)) {
    if (token === "\\\n" || /^[ \t]/u.test(token) || token.startsWith("#")) continue;
    if (/^(?:\n|&&|\|\||[;|&])$/u.test(token)) endCommand();
    else words.push(token.replaceAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gsu, "$1$2$3"));
  }
  endCommand();
  return commands;
}
