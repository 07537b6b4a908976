import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ERROR_CODES } from "../src/index.ts";

export const ERRORS_DOCUMENT = fileURLToPath(new URL("../../../docs/ERRORS.md", import.meta.url));

/** `docs/ERRORS.md`, made from the table of codes. */
export function renderErrorsDocument(): string {
  return [
    "# Error codes",
    "",
    "Every error of Peregrine is a `MigrationError` with one of these codes. A code never changes its meaning.",
    "Errors in a stream also carry the byte offset, the section, and the last section that was complete.",
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

if (import.meta.main) writeFileSync(ERRORS_DOCUMENT, renderErrorsDocument());
