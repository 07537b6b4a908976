import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BUILT } from "@peregrine/cli/built";
import { LAUNCHED } from "../agent-process.ts";
import type { DocBlock } from "./doc-block.ts";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** Directories of the host that pages use. They lie in the sandbox instead. */
const HOST_DIRECTORIES = ["/srv/data", "/srv", "/var/lib/peregrine", "/etc/pki/peregrine", "/backup"];

/** Milliseconds that a block may take. */
const PATIENCE_MS = 60_000;

const PORT = /(?<=:)\d{4}\b(?!:)/gu;

/**
 * Where the commands of one page are run: a directory with the checkout's `examples` and `packages` in it, a home, a
 * path with the built programs, and ports that nobody else has in the place of those that the page names.
 */
export class DocSandbox implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "peregrine-docs-"));
  readonly #ports = new Map<string, number>();
  readonly #background: { readonly child: ChildProcess; readonly output: () => string }[] = [];

  constructor() {
    for (const name of ["bin", "home", "run", ...HOST_DIRECTORIES]) {
      mkdirSync(join(this.#directory, name), { recursive: true, mode: 0o700 });
    }
    for (const name of ["examples", "packages"]) symlinkSync(join(ROOT, name), join(this.#directory, name));
    const environment = Object.entries(LAUNCHED.environment).map(([key, value]) => `${key}=${value}`);
    for (const name of ["peregrine", "source-agent", "dest-agent"]) {
      const words = [...environment, process.execPath, ...LAUNCHED.options, join(BUILT, `${name}.js`)];
      const script = `#!/bin/sh\nexec env ${words.map((word) => `'${word}'`).join(" ")} "$@"\n`;
      writeFileSync(join(this.#directory, "bin", name), script, { mode: 0o755 });
    }
  }

  /** Runs a block, and waits for its end or for its guest. Errors: what it did otherwise than its marks say. */
  async run(block: DocBlock): Promise<void> {
    const { marks, page, line } = block;
    const script = await this.#script(block.text);
    const child = spawn("bash", ["-euo", "pipefail", "-c", script], {
      cwd: this.#directory,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: this.#environment(),
    });
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        printed += text;
      });
    }
    const failed = (what: string): Error => new Error(`${page}:${line} ${what}:\n${script}\n${printed}`);
    this.#background.push({ child, output: () => printed });
    if (marks.has("background")) {
      await this.#untilReady(script, child, () => printed, failed, marks.get("until"));
      return;
    }
    const deadline = AbortSignal.timeout(PATIENCE_MS);
    const [status] = (await once(child, "close", { signal: deadline }).catch(() => {
      throw failed("does not end");
    })) as [number | null];
    const expected = Number(marks.get("status") ?? 0);
    if (status !== expected) throw failed(`ends with status ${status} instead of ${expected}`);
    const text = marks.get("prints");
    if (text !== undefined && !printed.includes(text)) throw failed(`does not print '${text}'`);
  }

  /** Until the monitor of the guest answers; of one that is awaited, until it is listened for. */
  async #untilReady(
    script: string,
    child: ChildProcess,
    printed: () => string,
    failed: (what: string) => Error,
    ready: string | undefined,
  ): Promise<void> {
    const name = Array.from(script.matchAll(/--name ([\w.-]+)/gu)).at(-1)?.[1];
    const isAwaited = /\b(?:receive|dest-agent) (?:tcp|unix|wss?):/u.test(script);
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      if (child.exitCode !== null) throw failed(`ends with status ${child.exitCode} in the background`);
      if (ready !== undefined && printed().includes(ready)) return;
      const isThere = await answers(join(this.#directory, "run", `${name}.sock`));
      if (ready === undefined && isThere && (!isAwaited || printed().includes("is awaited on"))) return;
      if (performance.now() > deadline) throw failed(`is not ready in the background`);
      await delay(20);
    }
  }

  async #script(text: string): Promise<string> {
    let script = text;
    for (const [port] of text.matchAll(PORT)) {
      if (!this.#ports.has(port)) this.#ports.set(port, await freePort());
    }
    script = script.replaceAll(PORT, (port) => String(this.#ports.get(port)));
    for (const directory of HOST_DIRECTORIES) {
      script = script.replaceAll(
        new RegExp(String.raw`(?<![\w.])${directory}(?=[/\s,:'")]|$)`, "gmu"),
        join(this.#directory, directory),
      );
    }
    return script;
  }

  #environment(): NodeJS.ProcessEnv {
    const { PATH = "", XDG_CACHE_HOME = join(this.#directory, "home", ".cache") } = process.env;
    const home = join(this.#directory, "home");
    return {
      PATH: `${join(this.#directory, "bin")}:${PATH}`,
      HOME: home,
      LANG: "C.UTF-8",
      PEREGRINE_RUNTIME_DIR: join(this.#directory, "run"),
      XDG_CACHE_HOME,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#background.map(async ({ child }) => {
        const isOver = child.exitCode !== null || child.signalCode !== null;
        const closed = isOver ? undefined : once(child, "exit");
        try {
          // With all that it has started.
          process.kill(-child.pid!, "SIGKILL");
        } catch {
          // Nothing of it is left.
        }
        await closed;
      }),
    );
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Below those that the kernel gives to who asks for any port: nobody gets one of these before it is used. */
const PORTS = { first: 10_000, count: 20_000 };
const given = new Set<number>();

async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
}
