import http from "node:http";
import type { IncomingMessage, Server } from "node:http";
import net from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { AcceptQueue } from "./accept-queue.ts";
import { describeAddress } from "./address.ts";
import type { WebSocketAddress } from "./address.ts";
import type { ListenOptions, Listener } from "./channel.ts";
import { prepareLinkWatch } from "./link-watch.ts";
import { bind } from "./socket-listener.ts";
import { SecureServer } from "./tls/secure-server.ts";
import { TlsStream } from "./tls/tls-stream.ts";
import {
  HANDSHAKE_OPTIONS,
  MAX_CONNECTIONS,
  MAX_MESSAGE_BYTES,
  SUBPROTOCOL,
  WEB_SOCKET_OPTIONS,
} from "./web-socket-limits.ts";
import { WebSocketStream } from "./web-socket-stream.ts";
import { HTTP_PROTOCOL, listeningTls } from "./web-socket-tls.ts";

/** Listens for WebSockets on the path of the address. Errors: BAD_ADDRESS, BAD_CREDENTIALS, LISTEN_FAILED. */
export async function listenForWebSockets(
  address: WebSocketAddress,
  options: ListenOptions,
): Promise<Listener> {
  const name = describeAddress(address);
  await prepareLinkWatch(options.keepalive);
  const server = http.createServer(HANDSHAKE_OPTIONS);
  const secure = address.kind === "wss" ? await secureServer(address, server, options) : undefined;
  const door = secure === undefined ? server : doorOf(secure);
  door.maxConnections = MAX_CONNECTIONS;
  await bind(door, { host: address.host, port: address.port }, name);
  const queue = new AcceptQueue({
    name,
    address: { ...address, port: (door.address() as net.AddressInfo).port, tls: {} },
    channelOptions: options,
    stop: () => {
      door.close();
      secure?.close();
      server.closeAllConnections();
    },
  });
  door.on("error", (error) => queue.missed(error));
  serve(server, address.resource, queue);
  return queue;
}

/** TLS in front of an HTTP server. */
async function secureServer(
  address: WebSocketAddress,
  server: Server,
  { tls, refused = () => undefined }: ListenOptions,
): Promise<SecureServer> {
  return new SecureServer({
    tls: await listeningTls(address, tls),
    protocol: HTTP_PROTOCOL,
    accept: (stream) => server.emit("connection", stream),
    refuse: (stream, reason) => {
      const length = Buffer.byteLength(reason);
      const head = `HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${length}`;
      stream.end(`${head}\r\n\r\n${reason}`);
    },
    refused,
  });
}

function doorOf(secure: SecureServer): net.Server {
  const door = net.createServer({
    ...HANDSHAKE_OPTIONS,
    noDelay: true,
    allowHalfOpen: true,
    pauseOnConnect: true,
  });
  door.on("connection", (socket) => secure.add(socket, peerName(socket)));
  return door;
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
    // Node has taken its own listener away, and what is refused does not come to the library's.
    socket.on("error", () => socket.destroy());
    const refusal = refusalOf(request, resource);
    if (refusal !== undefined) {
      // Whoever does not close it for its part would keep it.
      socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\n\r\n`, () => socket.destroy());
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const { socket: below } = request;
      const isSecure = (below as Duplex) instanceof TlsStream;
      queue.add(new WebSocketStream(webSocket, below, isSecure), peerName(below));
    });
  });
}

/** Undefined for a request that is welcome. */
function refusalOf({ url = "/", headers }: IncomingMessage, resource: string): string | undefined {
  if (url !== resource) return "404 Not Found";
  // A page in somebody's browser is no source of guests.
  if (headers.origin !== undefined) return "403 Forbidden";
  const offered = headers["sec-websocket-protocol"]?.split(",").map((protocol) => protocol.trim()) ?? [];
  return offered.includes(SUBPROTOCOL) ? undefined : "400 Bad Request";
}

function peerName(socket: net.Socket): string {
  if ((socket as Duplex) instanceof TlsStream) return (socket as unknown as TlsStream).peer;
  const { remoteAddress = "", remotePort = 0 } = socket;
  return describeAddress({ kind: "tcp", host: remoteAddress, port: remotePort });
}
