import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  ERRORS_DOCUMENT,
  renderErrorsDocument,
  renderTroubleshootingDocument,
  TROUBLESHOOTING_DOCUMENT,
} from "../test/errors-document.ts";
import { ERROR_ADVICE, ERROR_CODES } from "./index.ts";

const PACKAGES = fileURLToPath(new URL("../../", import.meta.url));

const LITERAL = /"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/gu;

/** A literal, or several with + between them. */
const CONCATENATED = new RegExp(`(?:${LITERAL.source})(?:\\s*\\+\\s*(?:${LITERAL.source}))*`, "gu");

test("docs/ERRORS.md lists the codes; `node packages/protocol/test/errors-document.ts` writes it anew", () => {
  expect(readFileSync(ERRORS_DOCUMENT, "utf8")).toBe(renderErrorsDocument());
});

test("docs/troubleshooting.md has an entry for each code; the same command writes it anew", () => {
  const page = readFileSync(TROUBLESHOOTING_DOCUMENT, "utf8");
  expect(page).toBe(renderTroubleshootingDocument());
  const headings = Array.from(page.matchAll(/^### (\w+)$/gmu), ([, code]) => code);
  expect(headings).toEqual(Object.keys(ERROR_CODES));
});

describe("each code", () => {
  const texts = sourceTexts();

  test.each(Object.entries(ERROR_ADVICE))(
    "%s: says what to do, and shows a message that exists",
    (_, entry) => {
      for (const sentences of [entry.causes, entry.remedy]) expect(sentences).toMatch(/^[A-Z].+[.]$/su);
      // It begins with what to do: no article, no pronoun, no condition before it.
      expect(entry.remedy).not.toMatch(/^(?:A|An|The|It|This|That|If|When|Where|You|There)\b/u);
      const message = entry.example.replace(/ \(section '[^']+', byte \d+\)$/u, "");
      // The words of the system, or a reason from elsewhere, may stand at its end.
      const beginning = message.slice(0, Math.max(message.lastIndexOf(": "), 0));
      expect(texts.some((text) => text.test(message) || text.test(beginning))).toBe(true);
    },
  );
});

/** What the sources say, with anything in the place of what is put in. Texts that are all put in are left out. */
function sourceTexts(): RegExp[] {
  const files = readdirSync(PACKAGES, { recursive: true, encoding: "utf8" }).filter((file) =>
    /^[\w-]+\/src\/(?!.*\.test\.).*(?<!error-advice)\.ts$/u.test(file),
  );
  return files.flatMap((file) => {
    const source = readFileSync(join(PACKAGES, file), "utf8");
    const texts = source.match(CONCATENATED) ?? [];
    return texts.flatMap((text) => {
      const joined = (text.match(LITERAL) ?? []).map((literal) => literal.slice(1, -1)).join("");
      const parts = joined.split(/\$\{[^}]*\}/u);
      if (parts.join("").length < 12) return [];
      const escaped = parts.map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/gu, String.raw`\$&`));
      return [new RegExp(`^${escaped.join(".+")}$`, "u")];
    });
  });
}
