import { describeAddress, HANDSHAKE_OPTIONS, systemError, WEB_SOCKET_OPTIONS } from "@peregrine/transport";
import type { WebSocketAddress } from "@peregrine/transport";
import { once } from "node:events";
import { createServer, STATUS_CODES } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { checkLoopback } from "../access/loopback.ts";
import type { MonitorAccess } from "../access/monitor-access.ts";
import type { MonitorLimits } from "../limits.ts";
import { admission } from "./admission.ts";

const UPGRADE_REQUIRED = 426;

export interface WebSocketListenerOptions {
  /** Bytes of one message from a client; a longer one ends its connection. */
  readonly maxMessageBytes: number;
  /** Origins of pages of other machines that may connect. */
  readonly origins: readonly string[];
  readonly access: MonitorAccess;
  readonly limits: Pick<MonitorLimits, "clients" | "logins" | "loginTimeout" | "loginDelay">;
  /** `known`: the handshake has shown that the client may be here. */
  readonly accept: (webSocket: WebSocket, known: boolean) => void;
}

/** Where clients connect by WebSocket. */
export interface WebSocketListener {
  readonly address: WebSocketAddress;
  close(): Promise<void>;
}

/** Listens for WebSockets. Errors: BAD_ADDRESS for one that others can reach; LISTEN_FAILED. */
export async function listenForWebSockets(
  address: WebSocketAddress,
  { maxMessageBytes, origins, access, limits, accept }: WebSocketListenerOptions,
): Promise<WebSocketListener> {
  checkLoopback(address.host);
  const server = httpServer(limits);
  const webSockets = new WebSocketServer({
    server,
    path: address.resource,
    ...WEB_SOCKET_OPTIONS,
    maxPayload: maxMessageBytes,
    clientTracking: false,
    verifyClient: ({ req }: { req: IncomingMessage }, answer: (admitted: boolean) => void) => {
      const how = admission(req, origins, access);
      if (how === "wrong token") setTimeout(answer, limits.loginDelay, false);
      else answer(how !== "refused");
    },
  });
  // A connection could not be accepted, for example for want of descriptors. The listener itself is sound.
  webSockets.on("error", () => {});
  server.listen({ host: address.host, port: address.port });
  try {
    await once(server, "listening");
  } catch (error) {
    throw systemError("LISTEN_FAILED", `Failed to listen on '${describeAddress(address)}'`, error);
  }
  webSockets.on("connection", (webSocket: WebSocket, request: IncomingMessage) => {
    accept(webSocket, admission(request, origins, access) === "known");
  });
  return {
    address: { ...address, port: (server.address() as AddressInfo).port },
    close: () => closed(server, webSockets),
  };
}

/** Who connects has little time to make the handshake, and others that do not cannot keep it out for ever. */
function httpServer({ clients, logins, loginTimeout }: WebSocketListenerOptions["limits"]): Server {
  const server = createServer(
    {
      ...HANDSHAKE_OPTIONS,
      headersTimeout: loginTimeout,
      requestTimeout: loginTimeout,
      connectionsCheckingInterval: Math.ceil(loginTimeout / 4),
    },
    (_request, response) => {
      const text = STATUS_CODES[UPGRADE_REQUIRED]!;
      response.writeHead(UPGRADE_REQUIRED, { "Content-Type": "text/plain", Connection: "close" }).end(text);
    },
  );
  server.maxConnections = clients + logins;
  return server;
}

/** The address is free at once; accepted connections live on. */
function closed(server: Server, webSockets: WebSocketServer): Promise<void> {
  webSockets.close();
  server.close();
  // Those in a handshake.
  server.closeAllConnections();
  return Promise.resolve();
}
