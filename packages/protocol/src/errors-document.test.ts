import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERRORS_DOCUMENT, renderErrorsDocument } from "../test/errors-document.ts";

test("docs/ERRORS.md lists the codes; `node packages/protocol/test/errors-document.ts` writes it anew", () => {
  expect(readFileSync(ERRORS_DOCUMENT, "utf8")).toBe(renderErrorsDocument());
});
