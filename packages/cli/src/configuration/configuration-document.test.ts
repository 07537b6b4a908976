import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CONFIGURATION_DOCUMENT, renderConfigurationDocument } from "../../test/configuration-document.ts";

test("docs/configuration.md lists the keys; `node packages/cli/test/configuration-document.ts` writes it anew", () => {
  expect(readFileSync(CONFIGURATION_DOCUMENT, "utf8")).toBe(renderConfigurationDocument());
});
