import { QmpClient } from "@peregrine/monitor";
import { MigrationError } from "@peregrine/protocol";
import * as v from "valibot";
import { ReceivedReport } from "./agent-report.ts";
import type { Registry } from "./registry.ts";

/** An agent that has not answered by then is not going to. Milliseconds. */
const CONNECT_TIMEOUT_MS = 5000;

/** Connects to the monitor of a running guest. Errors: NO_SUCH_GUEST, CONNECT_FAILED. */
export async function connectToGuest(registry: Registry, name: string): Promise<AgentClient> {
  const signal = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
  try {
    return new AgentClient(name, await QmpClient.connect(`unix:${registry.socketOf(name)}`, { signal }));
  } catch (error) {
    if (isAbsent(error)) {
      throw new MigrationError(
        "NO_SUCH_GUEST",
        `No guest with the name '${name}' runs here; peregrine list shows those that do`,
        { cause: error },
      );
    }
    throw new MigrationError(
      "CONNECT_FAILED",
      `The agent of '${name}' does not answer: it is ending, or frozen; try again, and then look at its process`,
      { cause: error },
    );
  }
}

/** One guest, as the commands see it. */
export class AgentClient {
  readonly name: string;
  readonly #monitor: QmpClient;

  constructor(name: string, monitor: QmpClient) {
    this.name = name;
    this.#monitor = monitor;
  }

  /** Errors: COMMAND_FAILED with the agent's words; CHANNEL_FAILED when the agent ends before it answers. */
  async execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    try {
      return await this.#monitor.execute(command, args);
    } catch (error) {
      if (!MigrationError.is(error) || error.code !== "CHANNEL_FAILED") throw error;
      throw new MigrationError(
        "CHANNEL_FAILED",
        `The agent of '${this.name}' ended before it answered; its own output says why`,
        { cause: error },
      );
    }
  }

  /** Errors: as {@link execute}. */
  async report(): Promise<ReceivedReport> {
    const answer = v.safeParse(ReceivedReport, await this.execute("x-peregrine-info"));
    if (answer.success) return answer.output;
    const [issue] = answer.issues;
    throw new MigrationError(
      "COMMAND_FAILED",
      `The agent of '${this.name}' is of another release: ${v.getDotPath(issue) ?? "its answer"} is not understood; use the peregrine of that release`,
    );
  }

  /** Resolves when the connection is gone. */
  get closed(): Promise<void> {
    return this.#monitor.closed;
  }

  close(): Promise<void> {
    return this.#monitor.close();
  }
}

/** Nothing listens there. */
function isAbsent(error: unknown): boolean {
  const cause = MigrationError.is(error) ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  return cause?.code === "ENOENT" || cause?.code === "ECONNREFUSED";
}
