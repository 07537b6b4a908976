import { MigrationError } from "@peregrine/protocol";
import { Argument } from "commander";
import type { Command } from "commander";
import type { Finish } from "./command-options.ts";
import { commandShape } from "./reference/command-shape.ts";
import { examplesOf, groupOf } from "./reference/notes.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** `peregrine help` and `peregrine completion`. To be called when all other commands are defined. */
export function defineHelp(root: Command, finish: Finish): void {
  root
    .helpCommand(false)
    .command("help")
    .description("Tells about a command, or what the code of an error means and what to do about it.")
    .argument("[topic]", "a command, or the code of an error such as PEER_REFUSED")
    .action(async (topic: string | undefined) => {
      if (topic === undefined) root.outputHelp();
      else await explain(root, topic);
      finish(0);
    });
  root
    .command("completion")
    .description("Prints what a shell has to read to complete commands, flags, guests and files.")
    .addArgument(new Argument("<shell>", "the shell").choices(SHELLS))
    .action(async (shell: Shell) => {
      const { completionScript } = await import("./reference/completion.ts");
      print(root, completionScript(commandShape(root), shell));
      finish(0);
    });
  for (const command of root.commands) addNotes(command);
  root.addHelpText(
    "after",
    "\nperegrine help COMMAND tells about one of them, peregrine help CODE about an error.",
  );
}

/** Its place in the list of commands, and examples behind its options. */
export function addNotes(command: Command): void {
  const group = groupOf(command.name());
  if (group !== undefined) command.helpGroup(group);
  const examples = examplesOf(command.name());
  if (examples.length === 0) return;
  const lines = examples.map(({ name, text }) => `  ${name}\n      ${text}`);
  command.addHelpText("after", `\n${examples.length === 1 ? "Example" : "Examples"}:\n${lines.join("\n")}`);
}

/** Errors: USAGE. */
async function explain(root: Command, topic: string): Promise<void> {
  const command = root.commands.find((one) => one.name() === topic);
  if (command !== undefined) return command.outputHelp();
  const { explainCode } = await import("./reference/explain-code.ts");
  const text = explainCode(topic);
  if (text === undefined) {
    throw new MigrationError(
      "USAGE",
      `There is no command '${topic}', and no error code of that name; see peregrine help, or docs/troubleshooting.md for the codes`,
    );
  }
  return print(root, text);
}

function print(root: Command, text: string): void {
  root.configureOutput().writeOut?.(text);
}
