import { MigrationError } from "@peregrine/protocol";
import type { IncomingMessage } from "node:http";
import type net from "node:net";
import { WebSocket } from "ws";
import { describeAddress, formatUri } from "./address.ts";
import type { WebSocketAddress } from "./address.ts";
import type { Channel, ConnectOptions } from "./channel.ts";
import { prepareLinkWatch } from "./link-watch.ts";
import { connected, openSocket, requireWanted } from "./socket-connect.ts";
import { SocketChannel } from "./socket-channel.ts";
import type { ClientTls } from "./tls/credentials.ts";
import type { TlsStream } from "./tls/tls-stream.ts";
import {
  ANSWER_TIMEOUT_MS,
  MAX_MESSAGE_BYTES,
  SUBPROTOCOL,
  WEB_SOCKET_OPTIONS,
} from "./web-socket-limits.ts";
import { WebSocketStream } from "./web-socket-stream.ts";

/** Characters of the reason that a destination gives for refusing. */
const MAX_REASON = 1000;

const FORBIDDEN = 403;

/** Connects, and over TLS makes sure who is there. Errors: BAD_ADDRESS, CONNECT_FAILED, TLS_FAILED; CANCELLED by the signal. */
export async function connectWebSocket(
  address: WebSocketAddress,
  { signal, tls, ...options }: ConnectOptions,
): Promise<Channel> {
  const peer = describeAddress(address);
  requireWanted(signal, peer);
  await prepareLinkWatch(options.keepalive);
  const secure = address.kind === "wss" ? await secureStream(address, { signal, tls }) : undefined;
  // What is below has TLS already.
  const url = formatUri({ ...address, kind: "ws", tls: {} });
  const webSocket = new WebSocket(url, SUBPROTOCOL, {
    ...WEB_SOCKET_OPTIONS,
    maxPayload: MAX_MESSAGE_BYTES,
    handshakeTimeout: ANSWER_TIMEOUT_MS,
    // What HTTP needs of a socket, any stream has.
    ...(secure === undefined ? {} : { createConnection: () => secure as unknown as net.Socket }),
  });
  let socket: net.Socket | undefined;
  webSocket.once("upgrade", (response) => {
    socket = response.socket;
  });
  // It may have more to say of a connection that was given up.
  webSocket.on("error", () => undefined);
  if (secure !== undefined) {
    webSocket.once("unexpected-response", (_request, response) => {
      void refusal(response, peer).then((error) => webSocket.emit("error", error));
    });
  }
  return connected(webSocket, {
    event: "open",
    peer,
    signal,
    drop: () => webSocket.terminate(),
    made: () =>
      new SocketChannel(new WebSocketStream(webSocket, socket!, secure !== undefined), peer, options),
  });
}

async function secureStream(
  address: WebSocketAddress,
  { signal, tls: given }: { readonly signal: AbortSignal | undefined; readonly tls: ClientTls | undefined },
): Promise<TlsStream> {
  const peer = describeAddress(address);
  const { host, port } = address;
  const { connectingTls, HTTP_PROTOCOL } = await import("./web-socket-tls.ts");
  const tls = await connectingTls(address, given);
  const { secureClient } = await import("./tls/secure-client.ts");
  const socket = await openSocket({ host, port, noDelay: true }, peer, signal);
  return secureClient(socket, { tls, peer, host, signal, protocol: HTTP_PROTOCOL });
}

/** What a destination says that does not let this side in. */
async function refusal(response: IncomingMessage, peer: string): Promise<MigrationError> {
  const { statusCode } = response;
  let reason = "";
  try {
    for await (const chunk of response) {
      reason += String(chunk);
      if (reason.length > MAX_REASON) break;
    }
  } catch {
    // What has come says enough.
  }
  response.destroy();
  if (statusCode === FORBIDDEN && reason !== "") {
    const text = `The destination '${peer}' refused this side: ${reason.slice(0, MAX_REASON)}`;
    return new MigrationError("TLS_FAILED", text);
  }
  const text = `Failed to connect to '${peer}': Unexpected server response: ${statusCode}`;
  return new MigrationError("CONNECT_FAILED", text);
}
