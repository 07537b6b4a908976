import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { agentCommands } from "../src/command-line.ts";
import { configurationKeys } from "../src/configuration/configuration-keys.ts";

export const CONFIGURATION_DOCUMENT = fileURLToPath(
  new URL("../../../docs/configuration.md", import.meta.url),
);

/** What stands before the tables is written by hand. */
const MARK = "<!-- The rest is made by `node packages/cli/test/configuration-document.ts`. -->\n";

/** `docs/configuration.md` with the tables of keys as the command line has them. */
export function renderConfigurationDocument(): string {
  const [introduction] = readFileSync(CONFIGURATION_DOCUMENT, "utf8").split(MARK);
  const commands = agentCommands();
  // Those that several commands have stand there once.
  const rows = new Map<string, string[]>();
  for (const command of commands) {
    for (const { name, form, description, target } of configurationKeys(command)) {
      const flag = target.kind === "option" ? `\`${target.option.long}\`` : "argument";
      const row = [`\`${name}\``, form, flag, description.replaceAll("|", "\\|")].join(" | ");
      rows.set(row, [...(rows.get(row) ?? []), command.name()]);
    }
  }
  const lines = Array.from(rows, ([row, having]) => {
    const of = having.length === commands.length ? "all" : having.join(", ");
    return `| ${row} | ${of} |`;
  });
  return [
    introduction + MARK,
    "| key | value | flag | what it does | of |",
    "| --- | --- | --- | --- | --- |",
    ...lines,
    "",
  ].join("\n");
}

if (import.meta.main) writeFileSync(CONFIGURATION_DOCUMENT, renderConfigurationDocument());
