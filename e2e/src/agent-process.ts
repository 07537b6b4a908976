import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QmpClient } from "@peregrine/monitor";
// @ts-expect-error -- it is JavaScript, because it has to run on a Node that knows no TypeScript
import { NODE_ENVIRONMENT, NODE_OPTIONS } from "../../packages/cli/bin/launch.mjs";
import { PEREGRINE } from "@peregrine/cli/built";
import { Output } from "./output.ts";

/** What the launcher gives to Node. */
export const LAUNCHED: { readonly options: readonly string[]; readonly environment: Record<string, string> } =
  {
    options: NODE_OPTIONS,
    environment: NODE_ENVIRONMENT,
  };

/** A process of the command line under test. */
export class PeregrineProcess {
  readonly name: string;
  readonly args: readonly string[];
  readonly child: ChildProcess;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly ended: Promise<{ readonly status: number | null; readonly signal: NodeJS.Signals | null }>;
  #client: QmpClient | undefined;
  readonly #socket: string;

  constructor(runtimeDirectory: string, name: string, args: readonly string[]) {
    this.name = name;
    this.args = args;
    this.#socket = join(runtimeDirectory, `${name}.sock`);
    this.child = spawn(process.execPath, [...LAUNCHED.options, PEREGRINE, ...args], {
      env: { ...process.env, ...LAUNCHED.environment, PEREGRINE_RUNTIME_DIR: runtimeDirectory },
      stdio: ["pipe", "pipe", "pipe"],
    });
    // A guest that has ended does not read what it was still sent.
    this.child.stdin!.on("error", () => undefined);
    this.stdout = new Output(this.child.stdout!);
    this.stderr = new Output(this.child.stderr!);
    this.ended = once(this.child, "close").then(([status, signal]) => ({
      status,
      signal,
    })) as typeof this.ended;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Waits until a stream matches. Errors: when the process ends without. */
  async until(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpMatchArray> {
    for (;;) {
      const change = this[stream].change();
      const match = this[stream].text.match(pattern);
      if (match !== null) return match;
      if (this.hasEnded) throw new Error(`${this.name} ended without ${pattern}: ${this.stderr.text}`);
      await Promise.race([change, this.ended]);
    }
  }

  async monitor(): Promise<QmpClient> {
    this.#client ??= await QmpClient.connect(`unix:${this.#socket}`);
    return this.#client;
  }

  async execute<T>(command: string, args?: Record<string, unknown>): Promise<T> {
    return (await (await this.monitor()).execute(command, args)) as T;
  }

  /** Ends the process if it still runs, and waits for it. */
  async end(): Promise<void> {
    await this.#client?.close().catch(() => undefined);
    if (!this.hasEnded) this.child.kill("SIGKILL");
    await this.ended;
  }
}

export interface MigrateResult {
  readonly status: "completed" | "failed" | "cancelled";
  readonly "error-desc"?: string;
  readonly downtime?: number;
  readonly "total-time"?: number;
  readonly ram?: Readonly<Record<string, number>>;
}

/** One host: a folder of its own for agents and sockets. Everything it started ends with it. */
export class Host implements AsyncDisposable {
  readonly directory: string;
  readonly #processes: PeregrineProcess[] = [];
  #count = 0;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<Host> {
    return new Host(await mkdtemp(join(tmpdir(), "peregrine-e2e-")));
  }

  /** Runs a command of `peregrine`. */
  start(args: readonly string[], name = ""): PeregrineProcess {
    const started = new PeregrineProcess(this.directory, name, args);
    this.#processes.push(started);
    return started;
  }

  /** Runs a program; resolves once its monitor answers. */
  async run(program: string, options: readonly string[], args: readonly string[]): Promise<PeregrineProcess> {
    const name = `guest${this.#count++}`;
    const started = this.start(["run", program, "--name", name, ...options, "--", ...args], name);
    await this.#untilListed(started);
    return started;
  }

  /** Starts a destination, which gives a program the directories that it had; resolves with its address once it listens. */
  async receive(
    transport: "unix" | "tcp" | "ws",
    options: readonly string[] = [],
  ): Promise<{ readonly agent: PeregrineProcess; readonly uri: string }> {
    const name = `guest${this.#count++}`;
    const uri = {
      tcp: "tcp:127.0.0.1:0",
      ws: "ws://127.0.0.1:0/guests",
      unix: `unix:${join(this.directory, `${name}.in`)}`,
    }[transport];
    const directories = options.includes("image") ? [] : ["--source-dirs"];
    const agent = this.start(["receive", uri, "--name", name, ...directories, ...options], name);
    const match = await agent.until("stderr", /((?:tcp|unix|ws):\S+)/);
    return { agent, uri: match[1]! };
  }

  /** The agent's socket appears when its monitor listens; the attempt to connect tells. */
  async #untilListed(agent: PeregrineProcess): Promise<void> {
    for (;;) {
      try {
        await agent.monitor();
        return;
      } catch (error) {
        if (agent.hasEnded) throw new Error(`${agent.name} ended: ${agent.stderr.text}`, { cause: error });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((started) => started.end()));
    await rm(this.directory, { recursive: true, force: true });
  }
}

export interface MigrateOptions {
  /** Bytes per second; 0, the default, is unlimited. */
  readonly bandwidth?: number;
  /** Tolerated downtime in ms; the agent's default when left out. */
  readonly downtime?: number | undefined;
}

export async function startMigration(
  from: PeregrineProcess,
  uri: string,
  { bandwidth = 0, downtime }: MigrateOptions = {},
): Promise<void> {
  await from.execute("migrate-set-parameters", {
    "max-bandwidth": bandwidth,
    ...(downtime === undefined ? {} : { "downtime-limit": downtime }),
  });
  await from.execute("migrate", { uri });
}

/** Starts a migration and waits for its end. */
export async function migrate(
  from: PeregrineProcess,
  uri: string,
  options: MigrateOptions = {},
): Promise<MigrateResult> {
  await startMigration(from, uri, options);
  return migrationEnd(from);
}

export async function migrationEnd(from: PeregrineProcess): Promise<MigrateResult> {
  for (;;) {
    const info = await from.execute<{ status?: string }>("query-migrate");
    if (info.status === "completed" || info.status === "failed" || info.status === "cancelled")
      return info as MigrateResult;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
