import { MigrationError } from "@peregrine/protocol";
import { abortError, connect } from "@peregrine/transport";
import type { Channel, ClientTls } from "@peregrine/transport";
import * as v from "valibot";
import { NEGOTIATION_COMMAND } from "./command.ts";
import type { EventSource } from "./events.ts";
import { encodeLine, parseLine } from "./json-lines.ts";
import { isBlank, readLines } from "./lines.ts";
import type { MonitorVersion } from "./version.ts";

/** Bytes of one object that a monitor may send. */
const MAX_OBJECT_BYTES = 1024 * 1024;

const Version = v.object({
  qemu: v.object({ major: v.number(), minor: v.number(), micro: v.number() }),
  package: v.string(),
});

const Greeting = v.object({ QMP: v.object({ version: Version }) });
const Answer = v.object({ return: v.unknown(), id: v.number() });
const Refusal = v.object({
  error: v.object({ class: v.string(), desc: v.string() }),
  id: v.optional(v.number()),
});
const Event = v.object({
  event: v.string(),
  data: v.optional(v.record(v.string(), v.unknown())),
  timestamp: v.object({ seconds: v.number(), microseconds: v.number() }),
});

/** An event as a client receives it, checked. */
export type ReceivedEvent = v.InferOutput<typeof Event>;

interface PendingCall {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: MigrationError) => void;
}

/** How a client reaches a monitor. */
export interface QmpConnectOptions {
  readonly signal?: AbortSignal;
  /** For a monitor that wants one. Default: none. */
  readonly token?: string | undefined;
  /** For a monitor that has TLS. Default: none. */
  readonly tls?: ClientTls | undefined;
}

/** A client of a QMP monitor, this one's or QEMU's. */
export class QmpClient {
  readonly version: MonitorVersion;
  readonly events: EventSource<ReceivedEvent>;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  readonly #channel: Channel;
  readonly #pending = new Map<number, PendingCall>();
  readonly #listeners = new Set<(event: ReceivedEvent) => void>();
  #lastId = 0;

  /**
   * Connects, negotiates, and logs in where the monitor wants a token. The signal gives up all of it.
   * Errors: those of the transport's `connect`, such as TLS_FAILED; CONNECT_FAILED when no monitor answers there; ACCESS_DENIED.
   */
  static async connect(uri: string, { signal, token, tls }: QmpConnectOptions = {}): Promise<QmpClient> {
    const channel = await connect(uri, {
      ...(signal === undefined ? {} : { signal }),
      ...(tls === undefined ? {} : { tls }),
    });
    const onAbort = (): void => channel.destroy(abortError(signal, channel.peer));
    signal?.addEventListener("abort", onAbort);
    try {
      const messages = readMessages(channel);
      const client = new QmpClient(channel, await readGreeting(channel, messages), messages);
      await client.#negotiate(token);
      return client;
    } catch (error) {
      channel.destroy();
      throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async #negotiate(token: string | undefined): Promise<void> {
    try {
      // A monitor without tokens, such as QEMU's, has no such argument.
      await this.execute(NEGOTIATION_COMMAND, token === undefined ? undefined : { token });
    } catch (error) {
      if (!MigrationError.is(error) || error.code !== "COMMAND_FAILED") throw error;
      const text = `The monitor at '${this.#channel.peer}' refused this client: ${error.message}`;
      throw new MigrationError("ACCESS_DENIED", text, { cause: error });
    }
  }

  private constructor(channel: Channel, version: MonitorVersion, messages: AsyncIterable<unknown>) {
    this.#channel = channel;
    this.version = version;
    this.events = {
      subscribe: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    };
    this.closed = this.#receive(messages);
  }

  /**
   * Carries out one command and returns its answer. Calls may overlap.
   * Errors: COMMAND_NOT_FOUND, COMMAND_FAILED with the monitor's words; CHANNEL_FAILED when the
   * connection dies before the answer.
   */
  async execute(name: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#channel.error !== undefined) throw this.#channel.error;
    const id = ++this.#lastId;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
    });
    const bytes = encodeLine({ execute: name, ...(args === undefined ? {} : { arguments: args }), id });
    this.#channel.write(bytes).catch((error: unknown) => this.#fail(MigrationError.from(error)));
    return answer;
  }

  /** Drops the connection; calls that are pending reject. */
  async close(): Promise<void> {
    this.#channel.destroy();
    await this.closed;
  }

  async #receive(messages: AsyncIterable<unknown>): Promise<void> {
    try {
      for await (const message of messages) this.#dispatch(message);
      this.#channel.destroy(monitorGone(this.#channel));
    } catch (error) {
      this.#channel.destroy(MigrationError.from(error));
    }
    await this.#channel.closed;
    this.#fail(this.#channel.error ?? monitorGone(this.#channel));
  }

  #dispatch(message: unknown): void {
    if (v.is(Answer, message)) {
      this.#take(message.id)?.resolve(message.return);
    } else if (v.is(Refusal, message)) {
      const code = message.error.class === "CommandNotFound" ? "COMMAND_NOT_FOUND" : "COMMAND_FAILED";
      const error = new MigrationError(code, message.error.desc);
      // Without an id the monitor did not understand the line at all.
      if (message.id === undefined) this.#fail(error);
      else this.#take(message.id)?.reject(error);
    } else if (v.is(Event, message)) {
      for (const listener of this.#listeners) listener(message);
    }
  }

  #take(id: number): PendingCall | undefined {
    const call = this.#pending.get(id);
    this.#pending.delete(id);
    return call;
  }

  #fail(error: MigrationError): void {
    const calls = [...this.#pending.values()];
    this.#pending.clear();
    for (const call of calls) call.reject(error);
  }
}

async function* readMessages(channel: Channel): AsyncGenerator<unknown, void, void> {
  for await (const line of readLines(channel, MAX_OBJECT_BYTES)) {
    if (!isBlank(line)) yield parseLine(line);
  }
}

async function readGreeting(channel: Channel, messages: AsyncIterator<unknown>): Promise<MonitorVersion> {
  const first = await messages.next().catch((error: unknown) => {
    if (channel.error !== undefined) throw channel.error;
    return { value: error };
  });
  const greeting = v.safeParse(Greeting, first.value);
  if (greeting.success) return greeting.output.QMP.version;
  throw new MigrationError(
    "CONNECT_FAILED",
    `Failed to connect to '${channel.peer}': no QMP monitor answers there`,
    { cause: first.value },
  );
}

function monitorGone(channel: Channel): MigrationError {
  return new MigrationError(
    "CHANNEL_FAILED",
    `Connection to '${channel.peer}' failed: the monitor closed it`,
  );
}
