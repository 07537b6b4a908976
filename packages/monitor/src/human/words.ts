import { MigrationError } from "@peregrine/protocol";

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["\\", "\\"],
  ["'", "'"],
  ['"', '"'],
]);

/** A word in double quotes, or one up to the next white space. */
const WORD = /\s*(?:"(?<quoted>(?:[^"\\]|\\.)*)"|(?<unterminated>".*)|(?<plain>\S+))/suy;

/** Cuts a line into words. In double quotes a word may hold white space, and characters behind a backslash. Errors: BAD_COMMAND. */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  const text = line.trim();
  WORD.lastIndex = 0;
  while (WORD.lastIndex < text.length) {
    const { quoted, plain } = WORD.exec(text)?.groups ?? {};
    const word = plain ?? (quoted === undefined ? undefined : unescaped(quoted));
    if (word === undefined) throw new MigrationError("BAD_COMMAND", "unterminated string");
    words.push(word);
  }
  return words;
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gsu, (whole, character: string) => {
    const meant = ESCAPES.get(character);
    if (meant === undefined) {
      throw new MigrationError("BAD_COMMAND", `unsupported escape code: '${whole}'`);
    }
    return meant;
  });
}
