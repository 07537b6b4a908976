import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeProgram } from "./command-line.ts";
import { completionScript } from "./reference/completion.ts";
import { TemporaryDirectory } from "./testing/temporary-directory.ts";

type Shell = "bash" | "zsh" | "fish";

/** What the shell prints that is to complete the last of `words`: a candidate a line. */
const COMPLETE: Readonly<Record<Shell, (script: string, words: readonly string[]) => readonly string[]>> = {
  // As readline does it: the words are taken apart at = and : as well.
  bash: (script, words) => {
    const parts = words.flatMap((word) => (word === "" ? [""] : (word.match(/[=:]|[^=:]+/gu) ?? [])));
    const program = [
      `source ${script}`,
      `COMP_WORDS=(${parts.map((part) => `'${part}'`).join(" ")})`,
      `COMP_CWORD=${parts.length - 1}`,
      "complete -p peregrine source-agent dest-agent >&2",
      "_peregrine",
      String.raw`printf '%s\n' "${"$"}{COMPREPLY[@]}"`,
    ];
    return ["bash", "-c", program.join("\n")];
  },
  fish: (script, words) => [
    "fish",
    "--no-config",
    "-c",
    `source ${script}; complete -C '${words.join(" ")}' | string replace -r '\\t.*' ''`,
  ],
  // zsh completes only at a terminal, which zpty is. compadd is asked for what it was given.
  zsh: (script, words) => {
    const inner = [
      `autoload -Uz compinit && compinit -u -d ${script}.dump`,
      `source ${script}`,
      "zstyle ':completion:*' list-colors ''",
      "unsetopt beep prompt_cr prompt_sp; setopt zle; LISTMAX=1000",
      'compadd() { local -a found; builtin compadd -O found "$@"; print -rl -- "<"${^found}">"; builtin compadd "$@" }',
      "bindkey '^I' complete-word",
    ];
    const outer = [
      "zmodload zsh/zpty",
      "zpty shell zsh -f -i",
      ...inner.map((line) => `zpty -w shell ${quoted(line)}`),
      // The prompt comes when zle reads: what is typed before goes through the terminal's own line, and ^U would end it.
      `zpty -w shell ${quoted("PS1=REA''DY")}`,
      "zpty -r shell out '*READY*'",
      `zpty -w -n shell ${quoted(`${words.join(" ")}\t`)}`,
      "zpty -w -n shell $'\\x15print DO''NE\\n'",
      "zpty -r shell out '*DONE*'",
      "print -r -- $out",
    ];
    return ["zsh", "-f", "-c", outer.join("\n")];
  },
};

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

let directory: TemporaryDirectory;
let guest: Server;

beforeAll(async () => {
  directory = new TemporaryDirectory();
  for (const shell of ["bash", "zsh", "fish"] as const) {
    writeFileSync(join(directory.path, shell), completionScript(describeProgram("peregrine"), shell));
  }
  mkdirSync(join(directory.path, "guests"));
  mkdirSync(join(directory.path, "files/below"), { recursive: true });
  writeFileSync(join(directory.path, "files/web.wasm"), "");
  writeFileSync(join(directory.path, "files/web.stream"), "");
  guest = createServer().listen(join(directory.path, "guests/web.sock"));
  await new Promise((resolve) => guest.once("listening", resolve));
});

afterAll(() => {
  guest.close();
  directory[Symbol.dispose]();
});

function complete(shell: Shell, ...words: readonly string[]): string[] {
  const [program, ...args] = COMPLETE[shell](join(directory.path, shell), words);
  const { stdout, stderr, error } = spawnSync(program!, args, {
    cwd: join(directory.path, "files"),
    env: { ...process.env, PEREGRINE_RUNTIME_DIR: join(directory.path, "guests"), TERM: "dumb" },
    encoding: "utf8",
    timeout: 20_000,
  });
  if (error !== undefined) throw error;
  // It asks several times, with and without what it knows of cases and flags.
  if (shell === "zsh")
    return [...new Set(Array.from(stdout.matchAll(/<([^<>\n]+)>/gu), ([, found]) => found!))];
  expect(stderr.replaceAll(/^complete -F .*\n/gmu, "")).toBe("");
  return stdout.split("\n").filter((line) => line !== "");
}

function isInstalled(shell: Shell): boolean {
  return spawnSync(shell, ["-c", "true"]).status === 0;
}

describe.each(["bash", "zsh", "fish"] as const)("%s", (shell) => {
  const test = it.runIf(isInstalled(shell));
  const sorted = (...words: string[]): string[] => complete(shell, ...words).toSorted();

  test("completes commands", () => {
    expect(sorted("peregrine", "re")).toEqual(["receive", "relay", "resolve", "restore"]);
  });

  test("completes flags", () => {
    expect(sorted("peregrine", "migrate", "web", "tcp:h:1", "--on")).toEqual(["--on-timeout"]);
    expect(sorted("source-agent", "web.wasm", "--st")).toEqual(["--stack", "--state"]);
    expect(sorted("dest-agent", "--source")).toEqual(["--source-dirs"]);
  });

  test("completes values of flags", () => {
    expect(sorted("peregrine", "migrate", "web", "--on-timeout", "")).toEqual([
      "cancel",
      "force",
      "throttle",
    ]);
    expect(sorted("peregrine", "receive", "--machine", "im")).toEqual(["image"]);
    expect(sorted("peregrine", "resolve", "web", "--as", "o")).toEqual(["owner"]);
  });

  test("completes guests", () => {
    expect(sorted("peregrine", "info", "")).toEqual(["web"]);
    expect(sorted("peregrine", "resolve", "x", "--peer", "w")).toEqual(["web"]);
    expect(sorted("peregrine", "migrate", "--downtime", "50", "w")).toEqual(["web"]);
  });

  test("completes addresses behind the guest", () => {
    expect(sorted("peregrine", "migrate", "web", "un")).toEqual(["unix:"]);
  });

  test("completes error codes", () => {
    expect(sorted("peregrine", "help", "PEER_")).toEqual(["PEER_REFUSED", "PEER_SILENT"]);
  });

  test("completes files", () => {
    const found = sorted("peregrine", "run", "we").map((path) => path.trim());
    expect(found).toContain("web.wasm");
    expect(found).not.toContain("web.stream");
    expect(sorted("peregrine", "inspect", "web.s")).toEqual(["web.stream"]);
  });
});

describe("bash alone", () => {
  it("completes what is joined by = and :", () => {
    expect(complete("bash", "peregrine", "receive", "--machine=im")).toEqual(["image"]);
    expect(complete("bash", "peregrine", "receive", "--machine=")).toEqual(["wasm", "image"]);
    expect(complete("bash", "peregrine", "migrate", "web", "file:web.s")).toEqual(["web.stream"]);
    expect(complete("bash", "peregrine", "migrate", "web", "tcp:host:4")).toEqual([]);
    expect(complete("bash", "peregrine", "inspect", "file:x", "web.w")).toEqual(["web.wasm"]);
  });

  it("leaves the program's own arguments alone", () => {
    expect(complete("bash", "peregrine", "run", "web.wasm", "--", "--na")).toEqual([]);
  });
});
