import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describeProgram, execute } from "@peregrine/cli";
import type { CommandHandlers } from "@peregrine/cli";
import { describe, expect, it } from "vitest";
import { parseCast } from "../../scripts/recording/cast.ts";
import { renderSvg } from "../../scripts/recording/render-svg.ts";
import { commandsOf, docBlocks, MARKS } from "./docs/doc-block.ts";
import type { DocBlock } from "./docs/doc-block.ts";
import { DocSandbox, ROOT } from "./docs/doc-sandbox.ts";

/** Pages whose commands are executed by suites of their own, which set up what they need. */
const OWN_SUITES: Readonly<Record<string, string>> = {
  "docs/two-hosts.md": "e2e/hosts/two-hosts.test.ts",
};

/** Blocks that no test machine can run, by page, with their reasons. */
const NOT_RUN: Readonly<Record<string, readonly string[]>> = {
  "README.md": ["scripts/demo.ts and e2e/src/demo.test.ts do it", "it is what CI runs"],
  "docs/LIMITS.md": ["CI runs it, for a minute"],
  "docs/configuration.md": [
    "needs that file at that place; packages/cli/src/configuration.test.ts reads such files",
  ],
  "docs/dashboard.md": ["needs a second host"],
  "docs/handover.md": [
    "needs a connection that broke in the window; e2e/src/deaths.test.ts and packages/cli/src/resolve-process.test.ts have one",
    "needs an agent that ended in the window; packages/cli/src/resolve-process.test.ts has one",
  ],
  "docs/inspect.md": [
    "needs a virtual machine, its channels, and libvirt; e2e/src/qemu and packages/cli/src/inspect-process.test.ts have them",
  ],
  "docs/machine.md": ["turbo runs it with all other tests"],
  "docs/monitor.md": [
    "needs the certificates of tls.md; packages/monitor/src/access/secure-monitor.test.ts has some",
  ],
  "docs/move.md": ["needs a second host"],
  "docs/qemu.md": [
    "needs a QEMU with the options of its source; e2e/src/qemu has them",
    "needs a QEMU at both ends; e2e/src/qemu has them",
  ],
  "docs/run.md": ["installs what the test already stands on"],
  "docs/tls.md": ["needs certtool, which is not on every machine"],
};

/** Languages of blocks that hold no commands of a shell. */
const OTHER_LANGUAGES = [
  "",
  "text",
  "ini",
  "js",
  "json",
  "ts",
  "mermaid",
  "toml",
  "yaml",
  "dockerfile",
  "svg",
];

const PROGRAMS = ["peregrine", "source-agent", "dest-agent"] as const;

const pages = ["README.md", ...readdirSync(join(ROOT, "docs")).map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith(".md"),
);
const contents = new Map(pages.map((page) => [page, readFileSync(join(ROOT, page), "utf8")]));
const blocks = pages.flatMap((page) => docBlocks(page, contents.get(page)!));
const scripts = blocks.filter(({ language, page }) => language === "sh" && OWN_SUITES[page] === undefined);

describe("the pages", () => {
  it("that have a suite of their own have it", () => {
    for (const suite of Object.values(OWN_SUITES)) expect(existsSync(join(ROOT, suite)), suite).toBe(true);
  });

  it("have blocks of languages and with marks that are known here", () => {
    for (const { page, line, language, marks } of blocks.filter(
      (block) => OWN_SUITES[block.page] === undefined,
    )) {
      expect([...OTHER_LANGUAGES, "sh"], `${page}:${line}`).toContain(language);
      for (const mark of marks.keys()) expect(MARKS, `${page}:${line}`).toContain(mark);
    }
  });

  it("name files that are there", () => {
    const missing = pages.flatMap((page) =>
      Array.from(contents.get(page)!.matchAll(/\]\((?!https?:)([^)#\s]+)[^)]*\)/gu), ([, target]) =>
        normalize(join(dirname(page), target!)),
      ).filter((target) => !existsSync(join(ROOT, target))),
    );
    expect(missing).toEqual([]);
  });

  it("are all in the list of guides", () => {
    const index = contents.get("docs/README.md")!;
    const forgotten = pages.filter(
      (page) => page.startsWith("docs/") && !index.includes(`](${page.slice(5)})`),
    );
    expect(forgotten).toEqual(["docs/README.md"]);
  });

  it("show files as they are", () => {
    for (const { page, line, marks, text } of blocks) {
      const file = marks.get("file");
      if (file !== undefined) expect(text, `${page}:${line}`).toBe(readFileSync(join(ROOT, file), "utf8"));
    }
  });

  it("have the picture of the recording that lies beside it; `pnpm docs:demo --render` makes it anew", () => {
    const file = (name: string): string => readFileSync(join(ROOT, "docs", name), "utf8");
    expect(file("demo.svg")).toBe(renderSvg(parseCast(file("demo.cast"))));
  });

  it("leave commands out for a reason that is listed here", () => {
    const found: Record<string, string[]> = {};
    for (const { page, marks } of scripts) {
      const reason = marks.get("not-run");
      if (reason !== undefined) (found[page] ??= []).push(reason);
    }
    expect(found).toEqual(NOT_RUN);
  });
});

describe("the command line understands", () => {
  const handlers = new Proxy({} as CommandHandlers, { get: () => () => Promise.resolve(0) });
  const understood = async (words: readonly string[]): Promise<void> => {
    const [program, ...args] = words;
    const isOurs = PROGRAMS.find((name) => name === program);
    if (isOurs === undefined) return;
    try {
      await execute(isOurs, args, handlers, { writeOut: () => undefined });
    } catch (error) {
      // That a file of the reader is not here was found out behind the flags.
      const { cause } = error as { readonly cause?: { readonly code?: string } };
      if (cause?.code !== "ENOENT") throw error;
    }
  };

  const left = blocks.filter(
    ({ language, page, marks }) =>
      language === "sh" && (marks.has("not-run") || OWN_SUITES[page] !== undefined),
  );
  it.each(left.map((block) => [`${block.page}:${block.line}`, block] as const))(
    "%s, which is not run",
    async (_, { text }) => {
      for (const words of commandsOf(text)) await understood(words);
    },
  );

  it("each command and flag that a sentence names", () => {
    const shapes = PROGRAMS.map((name) => describeProgram(name));
    const commands = shapes.flatMap((shape) => [shape, ...shape.commands]);
    const flags = new Set(commands.flatMap(({ options }) => options.map(({ long }) => long)));
    const names = new Set(shapes[0]!.commands.map(({ name }) => name));
    const wrong = pages.flatMap((page) => {
      const prose = contents.get(page)!.replaceAll(/^ *```.*?^ *```$/gmsu, "");
      return Array.from(prose.matchAll(/`([^`\n]+)`/gu), ([, code]) => code!).filter((code) => {
        const [program, command] = code.split(" ");
        if (
          program === "peregrine" &&
          command !== undefined &&
          /^[a-z]/u.test(command) &&
          !names.has(command)
        ) {
          return true;
        }
        const isOurs = program === "peregrine" || code.startsWith("--");
        return (
          isOurs &&
          (code.match(/(?<=^| )--[a-z]+(?:-[a-z]+)*(?![\w-])/gu) ?? []).some((flag) => !flags.has(flag))
        );
      });
    });
    expect(wrong).toEqual([]);
  });
});

describe("a test machine runs the commands of", () => {
  const runnable = Map.groupBy(
    scripts.filter(({ marks }) => !marks.has("not-run")),
    ({ page }) => page,
  );
  it.each([...runnable].map(([page, list]) => [page, list] as [string, DocBlock[]]))(
    "%s",
    async (_, list) => {
      await using sandbox = new DocSandbox();
      for (const block of list) await sandbox.run(block);
    },
  );
});
