import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { QmpClient } from "@peregrine/monitor";
import { afterEach, beforeEach } from "vitest";
import { PEREGRINE } from "../../built.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

/** Longest that anything in these tests may take. Milliseconds. */
const PATIENCE_MS = 15_000;

/** Of the monitors that are started with {@link Peregrine.tokenFlag}. */
export const TOKEN = "correct-horse-battery-staple";

/** Absolute path of a program in `examples/guests`. */
export function guest(name: string): string {
  return fileURLToPath(new URL(`../../../../examples/guests/${name}.wasm`, import.meta.url));
}

/** How a process ended. */
export interface Finished {
  /** Or the signal that ended it. */
  readonly status: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running process and what it has printed so far. */
export class TestProcess {
  readonly #child: ChildProcess;
  readonly #printed = { stdout: "", stderr: "" };
  readonly #closed: Promise<unknown>;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#closed = once(child, "close");
    for (const name of ["stdout", "stderr"] as const) {
      child[name]!.setEncoding("utf8").on("data", (text: string) => {
        this.#printed[name] += text;
        child.emit("printed");
      });
    }
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get stdout(): string {
    return this.#printed.stdout;
  }

  /** Resolves with the match once the process has printed it. Rejects when it ends before that. */
  async printed(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    for (;;) {
      const match = pattern.exec(this.#printed[stream]);
      if (match !== null) return match;
      if (this.#hasEnded) throw new Error(`it ended before ${pattern}: ${JSON.stringify(this.#printed)}`);
      await Promise.race([once(this.#child, "printed", { signal }), this.#closed]);
    }
  }

  write(input: string | Uint8Array): void {
    this.#child.stdin!.write(input);
  }

  endInput(): void {
    this.#child.stdin!.end();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves when it has ended. */
  async finished(): Promise<Finished> {
    const overdue = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS);
    await this.#closed;
    clearTimeout(overdue);
    return { status: this.#child.exitCode ?? this.#child.signalCode!, ...this.#printed };
  }

  async kill(): Promise<void> {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
    await this.#closed;
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

/** The command line, with a runtime directory for each test. What it starts is ended after the test. */
export interface Peregrine {
  /** The runtime directory. */
  readonly directory: string;
  start(...args: readonly string[]): TestProcess;
  /** Writes a token for monitors. @returns the flag that names its file, and the file. */
  tokenFlag(): [string, string];
  /** Starts a command and waits for its end; its input is empty. */
  run(...args: readonly string[]): Promise<Finished>;
  /** Starts a process that waits for a guest. @returns it, and the URI where it waits. */
  receive(uri: string, name: string, ...options: readonly string[]): Promise<[TestProcess, string]>;
  /** A client of the monitor of a guest. */
  connect(name: string): Promise<QmpClient>;
  /** What the agent of a guest tells of itself. */
  report(name: string): Promise<Record<string, unknown>>;
}

/** To be called once in a test file. The runtime directory is empty at the beginning of each test. */
export function usePeregrine(command: readonly string[] = [process.execPath, PEREGRINE]): Peregrine {
  let directory: TemporaryDirectory;
  const processes: TestProcess[] = [];
  beforeEach(() => {
    directory = new TemporaryDirectory();
  });
  afterEach(async () => {
    await Promise.all(processes.splice(0).map((process) => process.kill()));
    directory[Symbol.dispose]();
  });
  const start = (...args: readonly string[]): TestProcess => {
    const [program, ...before] = command;
    const child = spawn(program!, [...before, ...args], {
      env: { ...process.env, PEREGRINE_RUNTIME_DIR: directory.path },
      stdio: "pipe",
    });
    // The command may end without having read its input.
    child.stdin.on("error", () => {});
    const started = new TestProcess(child);
    processes.push(started);
    return started;
  };
  const connect = (name: string): Promise<QmpClient> =>
    QmpClient.connect(`unix:${directory.path}/${name}.sock`);
  return {
    get directory() {
      return directory.path;
    },
    start,
    tokenFlag() {
      const file = join(directory.path, "token");
      writeFileSync(file, TOKEN, { mode: 0o600 });
      return ["--monitor-token-file", file];
    },
    run(...args) {
      const started = start(...args);
      started.endInput();
      return started.finished();
    },
    async receive(uri, name, ...options) {
      const waiting = start("receive", uri, "--name", name, ...options);
      const [, address] = await waiting.printed("stderr", /is awaited on (.+)\n/u);
      return [waiting, address!];
    },
    connect,
    async report(name) {
      const client = await connect(name);
      try {
        return (await client.execute("x-peregrine-info")) as Record<string, unknown>;
      } finally {
        await client.close();
      }
    },
  };
}
