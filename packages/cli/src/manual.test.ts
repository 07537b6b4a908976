import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { describeProgram, execute } from "./command-line.ts";
import type { CommandHandlers } from "./command-options.ts";
import { manual } from "./manual.ts";
import { examplesOf } from "./reference/notes.ts";
import { TemporaryDirectory } from "./testing/temporary-directory.ts";

const root = describeProgram("peregrine");
const pages = manual();

function pageOf(file: string): string {
  return pages.find((page) => page.file === file)?.text ?? "";
}

describe("the manual", () => {
  it("has a page for each command and each daemon", () => {
    expect(pages.map(({ file }) => file)).toEqual([
      "peregrine.1",
      ...root.commands.map(({ name }) => `peregrine-${name}.1`),
      "source-agent.8",
      "dest-agent.8",
    ]);
  });

  it.each(root.commands.map((command) => [command.name, command] as const))(
    "tells all options and arguments of %s",
    (name, { options, arguments: args }) => {
      const text = pageOf(`peregrine-${name}.1`).replaceAll(String.raw`\-`, "-");
      for (const { flags } of options) expect(text).toContain(`.B ${flags}\n`);
      for (const argument of args) expect(text).toContain(argument.name);
    },
  );

  it("says of each option and argument what it does", () => {
    for (const command of [root, ...root.commands]) {
      expect(command.description).toMatch(/^[A-Z].*\.$/u);
      for (const one of [...command.options, ...command.arguments]) expect(one.description).not.toBe("");
    }
  });

  const linters = [
    { program: "man", args: ["--warnings", "-l"] },
    { program: "mandoc", args: ["-Tlint", "-Werror"] },
  ];
  for (const { program, args } of linters) {
    it.runIf(spawnSync(program, ["-l", "/dev/null"]).error === undefined)(
      `is in order for ${program}`,
      () => {
        expect(lint(program, args)).toBe("");
      },
    );
  }
});

describe("examples", () => {
  const handlers = new Proxy({} as CommandHandlers, { get: () => () => Promise.resolve(0) });
  const named = ["source-agent", "dest-agent", ...root.commands.map(({ name }) => name)];
  const examples = named.flatMap((name) => examplesOf(name));

  it.each(examples.map(({ name }) => name))("%s is understood", async (line) => {
    const [program, ...args] = line.split(" ");
    expect(["peregrine", "source-agent", "dest-agent"]).toContain(program);
    const output = { writeOut: () => undefined };
    expect(await execute(program as "peregrine", args, handlers, output)).toBe(0);
  });
});

function lint(program: string, args: readonly string[]): string {
  using directory = new TemporaryDirectory();
  let output = "";
  for (const { file, text } of pages) {
    const path = join(directory.path, file);
    writeFileSync(path, text);
    const { stderr, stdout, status } = spawnSync(program, [...args, path], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C.UTF-8", MANROFFSEQ: "" },
    });
    output += program === "mandoc" ? stdout : stderr;
    if (status !== 0) output += `${file}: status ${status}\n`;
  }
  return output;
}
