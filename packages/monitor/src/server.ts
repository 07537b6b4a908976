import { listen } from "@peregrine/transport";
import type { Address, Listener, WebSocketAddress } from "@peregrine/transport";
import { Login } from "./access/login.ts";
import { monitorAccess } from "./access/monitor-access.ts";
import type { MonitorAccess, MonitorSecurity } from "./access/monitor-access.ts";
import type { CommandTable } from "./command.ts";
import type { MonitorConnection } from "./connection.ts";
import { toTimestamp } from "./events.ts";
import type { EventSource, QmpEvent } from "./events.ts";
import type { HumanMonitor } from "./human/human-monitor.ts";
import { HumanSession } from "./human/human-session.ts";
import { JsonConnection } from "./json-connection.ts";
import { DEFAULT_MONITOR_LIMITS } from "./limits.ts";
import type { MonitorLimits } from "./limits.ts";
import { parseMonitorAddress } from "./monitor-address.ts";
import type { MonitorKind } from "./monitor-address.ts";
import { Session } from "./session.ts";
import type { MonitorVersion } from "./version.ts";
import type { WebSocketListener } from "./web/web-socket-listener.ts";

export interface MonitorServerOptions extends MonitorSecurity {
  readonly commands: CommandTable;
  /** For people, at the addresses that are theirs. */
  readonly human: HumanMonitor;
  readonly events: EventSource;
  readonly version: MonitorVersion;
  readonly limits?: Partial<MonitorLimits>;
  /** Origins of pages of other machines whose scripts may connect by WebSocket. Default: none. */
  readonly origins?: readonly string[];
  /** Milliseconds since 1970, for the time of events. */
  readonly now?: () => number;
}

/** One client. Only those of QMP get events. */
type Client = Session | HumanSession;

/** A monitor at any number of addresses, for several clients at a time. */
export class MonitorServer {
  readonly #commands: CommandTable;
  readonly #human: HumanMonitor;
  readonly #version: MonitorVersion;
  readonly #limits: MonitorLimits;
  readonly #now: () => number;
  readonly #origins: readonly string[];
  readonly #security: MonitorSecurity;
  readonly #listeners = new Set<Pick<Listener, "close">>();
  readonly #clients = new Set<Client>();
  readonly #unsubscribe: () => void;
  #closed = false;

  constructor({
    commands,
    human,
    events,
    version,
    limits,
    origins = [],
    now,
    ...security
  }: MonitorServerOptions) {
    this.#commands = commands;
    this.#human = human;
    this.#origins = origins;
    this.#security = security;
    this.#version = version;
    this.#limits = { ...DEFAULT_MONITOR_LIMITS, ...limits };
    this.#now = now ?? (() => performance.timeOrigin + performance.now());
    this.#unsubscribe = events.subscribe((event) => this.#publish(event));
  }

  /**
   * Serves clients at `uri` from now on. At `ws:` QMP's messages are MessagePack, one in each binary message.
   * Returns the real address. Errors: as `parseMonitorAddress`; TOKEN_NEEDED; LISTEN_FAILED.
   */
  async listen(uri: string, kind: MonitorKind = "qmp"): Promise<Address> {
    const address = parseMonitorAddress(uri, kind);
    const access = monitorAccess(address, uri, this.#security);
    const listener =
      address.kind === "tcp" || address.kind === "unix"
        ? await this.#sockets(uri, address.kind, kind, access)
        : await this.#webSockets(address, access);
    this.#listeners.add(listener);
    if (this.#closed) await listener.close();
    return listener.address;
  }

  /** Stops listening, lets the clients have their last answers, and drops them. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    await Promise.all([...this.#listeners].map((listener) => listener.close()));
    await Promise.all([...this.#clients].map((client) => client.close()));
  }

  async #accept(listener: Listener, kind: MonitorKind, access: MonitorAccess): Promise<void> {
    while (!this.#closed) {
      // A connection that could not be accepted is its client's loss; the end of the listener ends the loop.
      const channel = await listener.accept().catch(() => undefined);
      if (channel === undefined) continue;
      this.#admit(channel, this.#login(access), (login) => {
        if (kind === "human") return new HumanSession(channel, this.#human, this.#limits, login);
        return this.#session(new JsonConnection(channel, this.#limits.objectBytes), login);
      });
    }
  }

  async #sockets(
    uri: string,
    family: "tcp" | "unix",
    kind: MonitorKind,
    access: MonitorAccess,
  ): Promise<Listener> {
    const tls = family === "tcp" ? this.#security.tls : undefined;
    const listener = await listen(uri, {
      descriptors: kind === "qmp",
      ...(tls === undefined ? {} : { tls }),
    });
    void this.#accept(listener, kind, access);
    return listener;
  }

  /** HTTP and MessagePack take megabytes, so only one who is asked for them loads them. */
  async #webSockets(address: WebSocketAddress, access: MonitorAccess): Promise<WebSocketListener> {
    const { MessagePackConnection } = await import("./web/message-pack-connection.ts");
    const { listenForWebSockets } = await import("./web/web-socket-listener.ts");
    return listenForWebSockets(address, {
      maxMessageBytes: this.#limits.objectBytes,
      origins: this.#origins,
      access,
      limits: this.#limits,
      accept: (webSocket, known) => {
        const connection = new MessagePackConnection(webSocket);
        this.#admit(connection, this.#login(access, known), (login) => this.#session(connection, login));
      },
    });
  }

  #login(access: MonitorAccess, known = false): Login {
    return new Login({ access, known, limits: this.#limits, hasRoom: () => this.#hasRoom(true) });
  }

  /** Serves one more client, if there may be one more. */
  #admit(
    connection: Pick<MonitorConnection, "destroy">,
    login: Login,
    client: (login: Login) => Client,
  ): void {
    if (this.#closed || !this.#hasRoom(login.isKnown)) connection.destroy();
    else void this.#serve(client(login));
  }

  /** Those that have not logged in take nobody's place who has. */
  #hasRoom(known: boolean): boolean {
    const present = [...this.#clients].filter(({ login }) => login.isKnown === known).length;
    return present < (known ? this.#limits.clients : this.#limits.logins);
  }

  #session(connection: MonitorConnection, login: Login): Session {
    return new Session({
      connection,
      login,
      commands: this.#commands,
      version: this.#version,
      limits: this.#limits,
    });
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
