import { listen } from "@peregrine/transport";
import type { Address, Channel, Listener } from "@peregrine/transport";
import type { CommandTable } from "./command.ts";
import { toTimestamp } from "./events.ts";
import type { EventSource, QmpEvent } from "./events.ts";
import type { HumanMonitor } from "./human/human-monitor.ts";
import { HumanSession } from "./human/human-session.ts";
import { JsonConnection } from "./json-connection.ts";
import { DEFAULT_MONITOR_LIMITS } from "./limits.ts";
import type { MonitorLimits } from "./limits.ts";
import { Session } from "./session.ts";
import type { MonitorVersion } from "./version.ts";

export interface MonitorServerOptions {
  readonly commands: CommandTable;
  /** For people, at the addresses that are theirs. */
  readonly human: HumanMonitor;
  readonly events: EventSource;
  readonly version: MonitorVersion;
  readonly limits?: Partial<MonitorLimits>;
  /** Milliseconds since 1970, for the time of events. */
  readonly now?: () => number;
}

/** Who is served at an address: programs, which speak QMP, or people. */
export type MonitorKind = "qmp" | "human";

/** One client. Only those of QMP get events. */
type Client = Session | HumanSession;

/** A monitor at any number of addresses, for several clients at a time. */
export class MonitorServer {
  readonly #commands: CommandTable;
  readonly #human: HumanMonitor;
  readonly #version: MonitorVersion;
  readonly #limits: MonitorLimits;
  readonly #now: () => number;
  readonly #listeners = new Set<Listener>();
  readonly #clients = new Set<Client>();
  readonly #unsubscribe: () => void;
  #closed = false;

  constructor({ commands, human, events, version, limits, now }: MonitorServerOptions) {
    this.#commands = commands;
    this.#human = human;
    this.#version = version;
    this.#limits = { ...DEFAULT_MONITOR_LIMITS, ...limits };
    this.#now = now ?? (() => performance.timeOrigin + performance.now());
    this.#unsubscribe = events.subscribe((event) => this.#publish(event));
  }

  /** Serves clients at `uri` from now on. Returns the real address. Errors: as `listen` of the transport. */
  async listen(uri: string, kind: MonitorKind = "qmp"): Promise<Address> {
    const listener = await listen(uri);
    this.#listeners.add(listener);
    if (this.#closed) await listener.close();
    void this.#accept(listener, kind);
    return listener.address;
  }

  /** Stops listening, lets the clients have their last answers, and drops them. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    await Promise.all([...this.#listeners].map((listener) => listener.close()));
    await Promise.all([...this.#clients].map((client) => client.close()));
  }

  async #accept(listener: Listener, kind: MonitorKind): Promise<void> {
    while (!this.#closed) {
      // A connection that could not be accepted is its client's loss; the end of the listener ends the loop.
      const channel = await listener.accept().catch(() => undefined);
      if (channel === undefined) continue;
      if (this.#closed || this.#clients.size >= this.#limits.clients) channel.destroy();
      else void this.#serve(this.#clientOn(channel, kind));
    }
  }

  #clientOn(channel: Channel, kind: MonitorKind): Client {
    const limits = this.#limits;
    if (kind === "human") return new HumanSession(channel, this.#human, limits);
    const connection = new JsonConnection(channel, limits.objectBytes);
    return new Session({ connection, commands: this.#commands, version: this.#version, limits });
  }

  async #serve(client: Client): Promise<void> {
    this.#clients.add(client);
    await client.run();
    this.#clients.delete(client);
  }

  #publish(event: QmpEvent): void {
    const timestamp = toTimestamp(this.#now());
    for (const client of this.#clients) {
      if (client instanceof Session) client.sendEvent(event, timestamp);
    }
  }
}
