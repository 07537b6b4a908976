import { MigrationError } from "@peregrine/protocol";
import { readFile } from "node:fs/promises";
import http from "node:http";
import type { IncomingMessage, Server } from "node:http";
import https from "node:https";
import type net from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { AcceptQueue } from "./accept-queue.ts";
import { describeAddress } from "./address.ts";
import type { WebSocketAddress } from "./address.ts";
import type { ChannelOptions, Listener } from "./channel.ts";
import { systemError } from "./errno.ts";
import { bind } from "./socket-listener.ts";
import {
  HANDSHAKE_OPTIONS,
  HANDSHAKE_TIMEOUT_MS,
  KEEPALIVE_DELAY_MS,
  MAX_CONNECTIONS,
  MAX_MESSAGE_BYTES,
  SUBPROTOCOL,
  WEB_SOCKET_OPTIONS,
} from "./web-socket-limits.ts";
import { WebSocketStream } from "./web-socket-stream.ts";

const SERVER_OPTIONS = {
  ...HANDSHAKE_OPTIONS,
  keepAlive: true,
  keepAliveInitialDelay: KEEPALIVE_DELAY_MS,
} as const;

/** Listens for WebSockets on the path of the address. Errors: BAD_ADDRESS, LISTEN_FAILED. */
export async function listenForWebSockets(
  address: WebSocketAddress,
  channelOptions: ChannelOptions,
): Promise<Listener> {
  const name = describeAddress(address);
  const server = address.kind === "wss" ? await tlsServer(address) : http.createServer(SERVER_OPTIONS);
  server.maxConnections = MAX_CONNECTIONS;
  await bind(server, { host: address.host, port: address.port }, name);
  const queue = new AcceptQueue({
    name,
    address: { ...address, port: (server.address() as net.AddressInfo).port, tls: {} },
    channelOptions,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  });
  serve(server, address.resource, queue);
  return queue;
}

async function tlsServer(address: WebSocketAddress): Promise<https.Server> {
  const { cert, key, ca } = address.tls;
  if (cert === undefined || key === undefined || ca !== undefined) {
    throw new MigrationError(
      "BAD_ADDRESS",
      "To listen on wss:// needs a certificate and its key: wss://HOST:PORT/?cert=FILE&key=FILE",
    );
  }
  const credentials = { cert: await credential(cert), key: await credential(key) };
  try {
    return https.createServer({ ...SERVER_OPTIONS, ...credentials, handshakeTimeout: HANDSHAKE_TIMEOUT_MS });
  } catch (error) {
    throw systemError("LISTEN_FAILED", `'${cert}' and '${key}' are no certificate and its key`, error);
  }
}

async function credential(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw systemError("LISTEN_FAILED", `Could not open '${path}'`, error);
  }
}

function serve(server: Server, resource: string, queue: AcceptQueue): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    ...WEB_SOCKET_OPTIONS,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: () => SUBPROTOCOL,
  });
  server.on("request", (_request, response) => {
    response.writeHead(426, { Connection: "close", Upgrade: "websocket" }).end();
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const refusal = refusalOf(request, resource);
    if (refusal !== undefined) {
      // Whoever does not close it for its part would keep it.
      socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\n\r\n`, () => socket.destroy());
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      queue.add(new WebSocketStream(webSocket, request.socket), peerName(request.socket));
    });
  });
  server.on("error", (error) => queue.missed(error));
}

/** Undefined for a request that is welcome. */
function refusalOf({ url = "/", headers }: IncomingMessage, resource: string): string | undefined {
  if (url !== resource) return "404 Not Found";
  // A page in somebody's browser is no source of guests.
  if (headers.origin !== undefined) return "403 Forbidden";
  const offered = headers["sec-websocket-protocol"]?.split(",").map((protocol) => protocol.trim()) ?? [];
  return offered.includes(SUBPROTOCOL) ? undefined : "400 Bad Request";
}

function peerName({ remoteAddress = "", remotePort = 0 }: net.Socket): string {
  return describeAddress({ kind: "tcp", host: remoteAddress, port: remotePort });
}
