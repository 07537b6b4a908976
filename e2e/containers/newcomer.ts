import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { attempt } from "../src/command.ts";
import type { DocBlock } from "../src/docs/doc-block.ts";
import type { Engine } from "./engine.ts";

/** Milliseconds that a block may take; some of them install and build. */
const PATIENCE_MS = 400_000;

/** A command in a terminal of its own. */
export interface Terminal {
  readonly child: ChildProcess;
  /** What it has printed so far, on either output. */
  readonly output: () => string;
  /** Resolves when it has printed that. Errors: it ends before, or takes too long. */
  readonly until: (text: string | RegExp) => Promise<void>;
}

/** Somebody in a container who types what a page says, each block in a terminal of its own. */
export class Newcomer {
  readonly #engine: Engine;
  readonly #container: string;
  readonly #directory: string;

  /** @param directory where the terminals are. */
  constructor(engine: Engine, container: string, directory: string) {
    this.#engine = engine;
    this.#container = container;
    this.#directory = directory;
  }

  /** Types a block of commands and waits for its end, or for its guest, as its marks say. */
  async follow({ marks, text, page, line }: DocBlock): Promise<Terminal> {
    const terminal = this.type(text);
    if (marks.has("background")) {
      const ready = marks.get("until") ?? (text.includes("peregrine receive") ? "is awaited on" : undefined);
      if (ready !== undefined) await terminal.until(ready);
      const name = /--name ([\w.-]+)/u.exec(text)?.[1];
      if (name !== undefined) await this.untilSucceeds(`peregrine info ${name}`);
      return terminal;
    }
    const status = await ended(terminal);
    const wanted = marks.get("prints") ?? "";
    if (status !== Number(marks.get("status") ?? 0) || !terminal.output().includes(wanted))
      throw new Error(`${page}:${line} ended with status ${status}:\n${terminal.output()}`);
    return terminal;
  }

  /** Begins a command in the background. */
  type(script: string): Terminal {
    const child = spawn(this.#engine.name, this.#words(script).slice(1), {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        printed += text;
      });
    }
    const until = async (text: string | RegExp): Promise<void> => {
      const deadline = performance.now() + PATIENCE_MS;
      while (!(typeof text === "string" ? printed.includes(text) : text.test(printed))) {
        if (child.exitCode !== null || performance.now() > deadline)
          throw new Error(`never printed '${text}' (status ${child.exitCode}):\n${script}\n${printed}`);
        await delay(50);
      }
    };
    return { child, output: () => printed, until };
  }

  /** @returns what a command prints. Errors: it fails. */
  async read(script: string): Promise<string> {
    const { status, stdout, stderr } = await attempt(this.#words(script));
    if (status !== 0) throw new Error(`${script} ended with status ${status}:\n${stdout}\n${stderr}`);
    return stdout;
  }

  async untilSucceeds(script: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while ((await attempt(this.#words(script))).status !== 0) {
      if (performance.now() > deadline) throw new Error(`never succeeds: ${script}`);
      await delay(200);
    }
  }

  /** The path is as the page says that it is in each terminal. */
  #words(script: string): string[] {
    const line = `export PATH="$HOME/.local/bin:$PATH"\n${script}`;
    const { name } = this.#engine;
    return [
      name,
      "exec",
      "--workdir",
      this.#directory,
      this.#container,
      "bash",
      "-euo",
      "pipefail",
      "-c",
      line,
    ];
  }
}

/** Its status. */
export async function ended({ child, output }: Terminal): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  const [status] = (await once(child, "close", { signal: AbortSignal.timeout(PATIENCE_MS) }).catch(() => {
    throw new Error(`does not end:\n${output()}`);
  })) as [number | null];
  return status;
}
