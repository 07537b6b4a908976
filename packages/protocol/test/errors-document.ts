import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ERROR_ADVICE, ERROR_CODES } from "../src/index.ts";
import type { ErrorAdvice, ErrorCode } from "../src/index.ts";

const documentPath = (name: string): string =>
  fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url));

export const ERRORS_DOCUMENT = documentPath("ERRORS.md");
export const TROUBLESHOOTING_DOCUMENT = documentPath("troubleshooting.md");

/** The first code of each part of the table, and what the part is called. */
const PARTS: Partial<Record<ErrorCode, string>> = {
  NOT_A_STREAM: "The stream",
  BAD_ADDRESS: "The connection",
  IN_PROGRESS: "The migration",
  NO_SUCH_FILE: "The guest",
  DRIVE_LOCKED: "Drives",
  BAD_PARAMETER: "Commands and the monitor",
};

/** `docs/ERRORS.md`, made from the table of codes. */
export function renderErrorsDocument(): string {
  return [
    "# Error codes",
    "",
    "Every error of Peregrine is a `MigrationError` with one of these codes. A code never changes its meaning.",
    "Errors in a stream also carry the byte offset, the section, and the last section that was complete.",
    "[troubleshooting.md](troubleshooting.md) says what to do about each.",
    "",
    "This file is made from `ERROR_CODES` in `packages/protocol/src/errors.ts` by",
    "`node packages/protocol/test/errors-document.ts`.",
    "",
    "| code | meaning |",
    "| --- | --- |",
    ...Object.entries(ERROR_CODES).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`),
    "",
  ].join("\n");
}

/** `docs/troubleshooting.md`, made from the table of codes and from what helps. */
export function renderTroubleshootingDocument(): string {
  const entries = Object.entries(ERROR_ADVICE) as [ErrorCode, ErrorAdvice][];
  return [
    "# Troubleshooting",
    "",
    "An error is one line, `peregrine: CODE: what, where, what to do`. Look for the code here, or say `peregrine help CODE`, as a second line says on a terminal.",
    "Whatever fails, the guest runs on at its source; only with [`UNDECIDED`](#undecided) it stands still until you decide.",
    "",
    "Before a migration, `peregrine doctor URI` finds most of what is here. After one that failed, the reason is shown by",
    "`peregrine info NAME` on both sides, and by the destination's own output.",
    "",
    "This file is made from `ERROR_ADVICE` in `packages/protocol/src/error-advice.ts` by",
    "`node packages/protocol/test/errors-document.ts`.",
    ...entries.flatMap(([code, advice]) => [
      ...(PARTS[code] === undefined ? [] : ["", `## ${PARTS[code]}`]),
      "",
      `### ${code}`,
      "",
      `**Meaning:** ${ERROR_CODES[code]}.`,
      "",
      "```text",
      `${code}: ${advice.example}`,
      "```",
      "",
      `**Usual causes:** ${linked(advice.causes)}`,
      "",
      `**What to do:** ${linked(advice.remedy)}`,
    ]),
    "",
  ].join("\n");
}

/** Pages of this directory as links. */
function linked(text: string): string {
  return text.replaceAll(/docs\/([\w-]+\.md)/gu, "[$1]($1)");
}

if (import.meta.main) {
  writeFileSync(ERRORS_DOCUMENT, renderErrorsDocument());
  writeFileSync(TROUBLESHOOTING_DOCUMENT, renderTroubleshootingDocument());
}
