import { checkLoopback, DEFAULT_MONITOR_LIMITS, isLoopback, Login } from "@peregrine/monitor";
import type { AccessToken, OpeningPolicy } from "@peregrine/monitor";
import { answerPings, HANDSHAKE_OPTIONS, systemError, WEB_SOCKET_OPTIONS } from "@peregrine/transport";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import type { DashboardAddress } from "./dashboard-address.ts";
import type { FindGuests } from "./guest-link.ts";
import { Guests } from "./guests.ts";
import { FRAMES_PER_SECOND } from "./messages.ts";
import type { PageFiles } from "./page-files.ts";
import { PageSession } from "./page-session.ts";
import { answerRequest, hostName } from "./static-files.ts";

/** What a dashboard accepts. */
export const DASHBOARD_LIMITS = {
  ...DEFAULT_MONITOR_LIMITS,
  /** Pages that have given the token. */
  clients: 8,
  /** Bytes of one message from a page. */
  messageBytes: 16 * 1024,
  /** Connections in all: a browser opens several for one page. */
  connections: 64,
};

/** How long a page that is dropped may take to close its connection. Milliseconds. */
const CLOSE_MS = 1000;

/** Where pages connect. */
export const SOCKET_PATH = "/socket";

/** What a dashboard serves, and to whom. */
export interface DashboardOptions {
  readonly address: DashboardAddress;
  readonly token: AccessToken;
  /** Where guests are found. */
  readonly find: readonly FindGuests[];
  readonly files: PageFiles;
  /** What pages may have agents open. */
  readonly policy: OpeningPolicy;
  readonly version: string;
  readonly limits?: Partial<typeof DASHBOARD_LIMITS>;
}

/** Serves the page, and everything that it shows to whoever has the token. */
export class DashboardServer {
  readonly #options: DashboardOptions;
  readonly #limits: typeof DASHBOARD_LIMITS;
  readonly #guests: Guests;
  readonly #sessions = new Set<PageSession>();
  /** Of all connections. */
  readonly #sockets = new Set<Socket>();
  readonly #http: Server;
  readonly #webSockets: WebSocketServer;
  #ticker: NodeJS.Timeout | undefined;

  private constructor(options: DashboardOptions) {
    this.#options = options;
    this.#limits = { ...DASHBOARD_LIMITS, ...options.limits };
    this.#guests = new Guests(options.find);
    this.#http = createServer(HANDSHAKE_OPTIONS, (request, response) => this.#onRequest(request, response));
    this.#http.maxConnections = this.#limits.connections;
    this.#webSockets = new WebSocketServer({
      noServer: true,
      ...WEB_SOCKET_OPTIONS,
      maxPayload: this.#limits.messageBytes,
      clientTracking: false,
    });
    this.#http.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#http.on("upgrade", (request, socket, head) => this.#onUpgrade(request, socket as Socket, head));
  }

  /** Errors: BAD_ADDRESS for one that others can reach; LISTEN_FAILED. */
  static async listen(options: DashboardOptions): Promise<DashboardServer> {
    const { host, port } = options.address;
    checkLoopback(host);
    const server = new DashboardServer(options);
    server.#http.listen({ host, port });
    try {
      await once(server.#http, "listening");
    } catch (error) {
      server.#guests.stop();
      throw systemError("LISTEN_FAILED", `Failed to listen on '${host}:${port}'`, error);
    }
    return server;
  }

  /** Of the page. */
  get url(): string {
    const { host } = this.#options.address;
    const { port } = this.#http.address() as AddressInfo;
    return `http://${host.includes(":") ? `[${host}]` : host}:${port}/`;
  }

  /** Drops the pages. Those that do not answer in time are not waited for. */
  async close(): Promise<void> {
    clearInterval(this.#ticker);
    this.#guests.stop();
    for (const session of this.#sessions) session.close();
    const closed = new Promise((resolve) => this.#http.close(resolve));
    // It does not know the connections any more that are WebSockets.
    this.#http.closeAllConnections();
    this.#webSockets.close();
    const overdue = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, CLOSE_MS);
    await closed;
    clearTimeout(overdue);
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    answerRequest(request, response, this.#options.files);
  }

  /**
   * Only this page itself may connect: any other page of the web can have a browser try, and a name of another host can be
   * made to point here. A browser says truly which page it is.
   */
  #onUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // Node has taken its own listener away, and what is refused does not come to the library's.
    socket.on("error", () => socket.destroy());
    const { host, origin } = request.headers;
    const path = request.url?.split("?")[0];
    if (path !== SOCKET_PATH || !isLoopback(hostName(host) ?? "") || origin !== `http://${host}`) {
      // Whoever does not close it for its part would keep it.
      socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", () =>
        socket.destroy(),
      );
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => this.#accept(webSocket));
  }

  #accept(socket: WebSocket): void {
    if (!this.#hasRoom(false)) {
      socket.terminate();
      return;
    }
    answerPings(socket);
    const session = new PageSession({
      socket,
      login: new Login({
        access: { kind: "token", token: this.#options.token },
        limits: this.#limits,
        hasRoom: () => this.#hasRoom(true),
      }),
      guests: this.#guests,
      policy: this.#options.policy,
      version: this.#options.version,
    });
    this.#sessions.add(session);
    this.#ticker ??= setInterval(() => this.#tick(), 1000 / FRAMES_PER_SECOND);
    socket.on("close", () => this.#forget(session));
  }

  #hasRoom(known: boolean): boolean {
    const present = [...this.#sessions].filter(({ login }) => login.isKnown === known).length;
    return present < (known ? this.#limits.clients : this.#limits.logins);
  }

  #forget(session: PageSession): void {
    this.#sessions.delete(session);
    if (this.#sessions.size > 0) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  #tick(): void {
    this.#guests.pair();
    const now = Date.now();
    for (const session of this.#sessions) session.tick(now);
  }
}
