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
  const tables = agentCommands().map((command) => {
    const rows = configurationKeys(command).map(({ name, form, description, target }) => {
      const flag =
        target.kind === "option" ? `\`${target.option.long}\`` : `argument \`${target.argument.name()}\``;
      return `| \`${name}\` | ${form} | ${flag} | ${description.replaceAll("|", "\\|")} |`;
    });
    return [
      `### peregrine ${command.name()}`,
      "",
      "| key | value | flag | |",
      "| --- | --- | --- | --- |",
      ...rows,
      "",
    ];
  });
  return [introduction + MARK, ...tables.flat()].join("\n");
}

if (import.meta.main) writeFileSync(CONFIGURATION_DOCUMENT, renderConfigurationDocument());
