import { ERROR_CODES } from "@peregrine/protocol";
import type { CommandShape, OptionShape, ValueShape } from "./command-shape.ts";
import { ENVIRONMENT, examplesOf, exitStatuses, FILES } from "./notes.ts";
import type { Note } from "./notes.ts";

/** A page of the manual: the name of its file, and what is in it, in the macros of man(7). */
export interface ManPage {
  readonly file: string;
  readonly text: string;
}

/**
 * A page for the program, one for each of its commands, and one for each daemon.
 * @param daemons as they are described when they are called by their names.
 * @param version as `peregrine --version` tells it, without the name.
 */
export function manPages(
  root: CommandShape,
  daemons: readonly CommandShape[],
  version: string,
): readonly ManPage[] {
  const page = (name: string, number: number, body: readonly string[]): ManPage => {
    const title = `.TH ${name.toUpperCase()} ${number} "" "peregrine ${version}" "Peregrine"`;
    const lines = [
      String.raw`.\" Made from the definitions of the commands by scripts/man-pages.ts.`,
      title,
      ...body,
    ];
    return { file: `${name}.${number}`, text: `${lines.join("\n")}\n` };
  };
  const pages = [
    page(root.name, 1, rootBody(root, daemons)),
    ...root.commands.map((command) =>
      page(`${root.name}-${command.name}`, 1, commandBody(command, `${root.name} ${command.name}`)),
    ),
    ...daemons.map((daemon) => page(daemon.name, 8, commandBody(daemon, daemon.name))),
  ];
  return pages;
}

function rootBody(root: CommandShape, daemons: readonly CommandShape[]): string[] {
  const commands = root.commands.map(({ name, description }) => ({
    name: `${root.name} ${name}`,
    text: description,
  }));
  return [
    ".SH NAME",
    `${root.name} \\- ${asTitle(root.description)}`,
    ".SH SYNOPSIS",
    `.B ${escaped(root.name)}`,
    ".I command",
    "[options]",
    ".SH DESCRIPTION",
    escaped(
      "A program is started by one agent, awaited by another one, and moved from the first to the second while it runs. Each agent is a process with one guest.",
    ),
    ".SH COMMANDS",
    ...tagged(commands),
    ".SH OPTIONS",
    ...root.options.flatMap(optionLines),
    ".SH ENVIRONMENT",
    ...tagged(ENVIRONMENT),
    ".SH FILES",
    ...tagged(FILES),
    ".SH ERRORS",
    escaped(
      "An error is one line with a code: what, where, what to do. peregrine help CODE tells more about each of these.",
    ),
    ...tagged(Object.entries(ERROR_CODES).map(([name, text]) => ({ name, text }))),
    ".SH SEE ALSO",
    [
      ...root.commands.map(({ name }) => `.BR ${escaped(`${root.name}-${name}`)} (1)`),
      ...daemons.map(({ name }) => `.BR ${escaped(name)} (8)`),
    ].join(" ,\n"),
  ];
}

function commandBody(command: CommandShape, called: string): string[] {
  const examples = examplesOf(command.name);
  return [
    ".SH NAME",
    `${escaped(called.replace(" ", "-"))} \\- ${asTitle(command.description)}`,
    ".SH SYNOPSIS",
    `.B ${escaped(called)}`,
    "[options]",
    ...command.arguments.map((argument) => synopsisOf(argument)),
    ".SH DESCRIPTION",
    escaped(command.description),
    ...section(".SH ARGUMENTS", argumentNotes(command.arguments)),
    ".SH OPTIONS",
    ...command.options.flatMap(optionLines),
    ".SH EXIT STATUS",
    ...tagged(exitStatuses(command.name)),
    ".SH ENVIRONMENT",
    ...tagged(ENVIRONMENT),
    ...(examples.length === 0
      ? []
      : [
          ".SH EXAMPLES",
          ...examples.flatMap(({ name, text }, index) => [
            ...(index === 0 ? [] : [".PP"]),
            `${escaped(text[0]!.toUpperCase() + text.slice(1))}:`,
            ".PP",
            ".RS",
            ".nf",
            escaped(name),
            ".fi",
            ".RE",
          ]),
        ]),
    ".SH SEE ALSO",
    ".BR peregrine (1)",
  ];
}

function argumentNotes(all: readonly ValueShape[]): Note[] {
  return all.map(({ name, description, choices }) => ({
    name,
    text: choices.length === 0 ? description : `${description}: ${choices.join(", ")}`,
  }));
}

function synopsisOf({ name, required, variadic }: ValueShape): string {
  const dots = variadic ? "..." : "";
  return required ? `.I ${escaped(name)}${dots}` : `.RI [ ${escaped(name)} ${dots}]`;
}

function optionLines({ flags, description, value, defaultText }: OptionShape): string[] {
  const choices = value?.choices ?? [];
  const words = [
    description,
    ...(choices.length === 0 ? [] : [`(one of: ${choices.join(", ")})`]),
    ...(defaultText === undefined ? [] : [`(default: ${defaultText})`]),
  ];
  return [".TP", `.B ${escaped(flags)}`, escaped(words.join(" "))];
}

function section(heading: string, notes: readonly Note[]): string[] {
  return notes.length === 0 ? [] : [heading, ...tagged(notes)];
}

function tagged(notes: readonly Note[]): string[] {
  return notes.flatMap(({ name, text }) => [".TP", `.B ${escaped(name)}`, escaped(text)]);
}

/** The first sentence, as the line that whatis(1) shows. */
function asTitle(description: string): string {
  const [sentence] = description.split(/(?<=\.) /u);
  return escaped(sentence!.replace(/\.$/u, ""));
}

/** Text that roff takes for nothing but text. */
function escaped(text: string): string {
  return text
    .replaceAll("\\", String.raw`\e`)
    .replaceAll("-", String.raw`\-`)
    .replaceAll("~", String.raw`\(ti`)
    .replaceAll("^", String.raw`\(ha`)
    .replace(/^(?=[.'])/u, String.raw`\&`);
}
