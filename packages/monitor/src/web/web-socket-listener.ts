import { describeAddress, HANDSHAKE_OPTIONS, systemError, WEB_SOCKET_OPTIONS } from "@peregrine/transport";
import type { WebSocketAddress } from "@peregrine/transport";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { checkLoopback, isAdmitted } from "./admission.ts";

/** Connections beside those of the clients: they are in a handshake, or turned away. */
const MOST_HANDSHAKES = 64;

export interface WebSocketListenerOptions {
  /** Clients that there may be at a time. */
  readonly clients: number;
  /** Bytes of one message from a client; a longer one ends its connection. */
  readonly maxMessageBytes: number;
  /** Origins of pages of other machines that may connect. */
  readonly origins: readonly string[];
  readonly accept: (webSocket: WebSocket) => void;
}

/** Where clients connect by WebSocket. */
export interface WebSocketListener {
  readonly address: WebSocketAddress;
  close(): Promise<void>;
}

/** Listens for WebSockets. Errors: BAD_ADDRESS for one that others can reach; LISTEN_FAILED. */
export async function listenForWebSockets(
  address: WebSocketAddress,
  { clients, maxMessageBytes, origins, accept }: WebSocketListenerOptions,
): Promise<WebSocketListener> {
  checkLoopback(address.host);
  const http = createServer(HANDSHAKE_OPTIONS, (_request, response) => {
    response.writeHead(426, { Connection: "close", Upgrade: "websocket" }).end();
  });
  http.maxConnections = clients + MOST_HANDSHAKES;
  const server = new WebSocketServer({
    server: http,
    path: address.resource,
    ...WEB_SOCKET_OPTIONS,
    maxPayload: maxMessageBytes,
    clientTracking: false,
    verifyClient: ({ req }: { req: IncomingMessage }) => isAdmitted(req, origins),
  });
  http.listen(address.port, address.host);
  try {
    await once(server, "listening");
  } catch (error) {
    throw systemError("LISTEN_FAILED", `Failed to listen on '${describeAddress(address)}'`, error);
  }
  // A connection could not be accepted, for example for want of descriptors. The listener itself is sound.
  server.on("error", () => {});
  server.on("connection", accept);
  return {
    address: { ...address, port: (http.address() as AddressInfo).port },
    close: () => closed(server, http),
  };
}

/** The address is free at once; accepted connections live on. */
function closed(server: WebSocketServer, http: Server): Promise<void> {
  server.close();
  http.close();
  // Those in a handshake.
  http.closeAllConnections();
  return Promise.resolve();
}
