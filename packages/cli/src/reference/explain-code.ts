import { ERROR_ADVICE, ERROR_CODES } from "@peregrine/protocol";
import type { ErrorCode } from "@peregrine/protocol";

/** Characters of a line. */
const WIDTH = 80;

/** What is known of an error code, for a terminal. Case does not matter. Undefined: there is no such code. */
export function explainCode(topic: string): string | undefined {
  const code = topic.toUpperCase();
  if (!isCode(code)) return undefined;
  const { causes, remedy, example } = ERROR_ADVICE[code];
  const parts = [
    ["Meaning", `${ERROR_CODES[code]}.`],
    ["Example", example],
    ["Usual causes", causes],
    ["What to do", remedy],
  ] as const;
  return `${code}\n${parts.map(([title, text]) => `\n${title}:\n${wrap(text.replaceAll("`", ""))}\n`).join("")}`;
}

function isCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_CODES, text);
}

function wrap(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line === "") lines[lines.length - 1] = `  ${word}`;
    else if (line.length + word.length < WIDTH) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(`  ${word}`);
  }
  return lines.join("\n");
}
