import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { COMMANDS_DOCUMENT, renderCommandsDocument } from "../test/commands-document.ts";

test("docs/COMMANDS.md lists the commands; `node packages/monitor/test/commands-document.ts` writes it anew", async () => {
  expect(readFileSync(COMMANDS_DOCUMENT, "utf8")).toBe(await renderCommandsDocument());
});
