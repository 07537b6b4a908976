import { listen } from "@peregrine/transport";
import type { Address, Channel, Listener } from "@peregrine/transport";
import type { CommandTable } from "./command.ts";
import { toTimestamp } from "./events.ts";
import type { EventSource, QmpEvent } from "./events.ts";
import { JsonConnection } from "./json-connection.ts";
import { DEFAULT_MONITOR_LIMITS } from "./limits.ts";
import type { MonitorLimits } from "./limits.ts";
import { Session } from "./session.ts";
import type { MonitorVersion } from "./version.ts";

export interface QmpServerOptions {
  readonly commands: CommandTable;
  readonly events: EventSource;
  readonly version: MonitorVersion;
  readonly limits?: Partial<MonitorLimits>;
  /** Milliseconds since 1970, for the time of events. */
  readonly now?: () => number;
}

/** A QMP server: any number of addresses, several clients at a time. */
export class QmpServer {
  readonly #commands: CommandTable;
  readonly #version: MonitorVersion;
  readonly #limits: MonitorLimits;
  readonly #now: () => number;
  readonly #listeners = new Set<Listener>();
  readonly #sessions = new Set<Session>();
  readonly #unsubscribe: () => void;
  #closed = false;

  constructor({ commands, events, version, limits, now }: QmpServerOptions) {
    this.#commands = commands;
    this.#version = version;
    this.#limits = { ...DEFAULT_MONITOR_LIMITS, ...limits };
    this.#now = now ?? (() => performance.timeOrigin + performance.now());
    this.#unsubscribe = events.subscribe((event) => this.#publish(event));
  }

  /** Serves clients at `uri` from now on. Returns the real address. Errors: as `listen` of the transport. */
  async listen(uri: string): Promise<Address> {
    const listener = await listen(uri);
    this.#listeners.add(listener);
    if (this.#closed) await listener.close();
    void this.#accept(listener);
    return listener.address;
  }

  /** Stops listening, lets the clients have their last answers, and drops them. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    await Promise.all([...this.#listeners].map((listener) => listener.close()));
    await Promise.all([...this.#sessions].map((session) => session.close()));
  }

  async #accept(listener: Listener): Promise<void> {
    while (!this.#closed) {
      // A connection that could not be accepted is its client's loss; the end of the listener ends the loop.
      const channel = await listener.accept().catch(() => undefined);
      if (channel !== undefined) void this.#serve(channel);
    }
  }

  async #serve(channel: Channel): Promise<void> {
    if (this.#closed || this.#sessions.size >= this.#limits.clients) {
      channel.destroy();
      return;
    }
    const session = new Session(
      new JsonConnection(channel, this.#limits.objectBytes),
      this.#commands,
      this.#limits,
    );
    this.#sessions.add(session);
    await session.run(this.#version);
    this.#sessions.delete(session);
  }

  #publish(event: QmpEvent): void {
    const timestamp = toTimestamp(this.#now());
    for (const session of this.#sessions) session.sendEvent(event, timestamp);
  }
}
