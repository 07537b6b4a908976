import { MigrationError } from "@peregrine/protocol";
import { readFile } from "node:fs/promises";
import type net from "node:net";
import tls from "node:tls";
import { WebSocket } from "ws";
import { describeAddress, formatUri } from "./address.ts";
import type { WebSocketAddress } from "./address.ts";
import type { Channel, ConnectOptions } from "./channel.ts";
import { systemError } from "./errno.ts";
import { connected, requireWanted } from "./socket-connect.ts";
import { SocketChannel } from "./socket-channel.ts";
import {
  KEEPALIVE_DELAY_MS,
  MAX_MESSAGE_BYTES,
  SUBPROTOCOL,
  WEB_SOCKET_OPTIONS,
} from "./web-socket-limits.ts";
import { WebSocketStream } from "./web-socket-stream.ts";

/** Connects, and over TLS makes sure who is there. Errors: BAD_ADDRESS, CONNECT_FAILED; CANCELLED by the signal. */
export async function connectWebSocket(
  address: WebSocketAddress,
  { signal, ...options }: ConnectOptions,
): Promise<Channel> {
  const peer = describeAddress(address);
  const { cert, key } = address.tls;
  if (cert !== undefined || key !== undefined) {
    throw new MigrationError("BAD_ADDRESS", "Only who listens on wss:// has a certificate and a key");
  }
  const authorities = address.kind === "wss" ? await trustedAuthorities(address) : undefined;
  requireWanted(signal, peer);
  const webSocket = new WebSocket(formatUri({ ...address, tls: {} }), SUBPROTOCOL, {
    ...WEB_SOCKET_OPTIONS,
    maxPayload: MAX_MESSAGE_BYTES,
    ...(authorities === undefined ? {} : { ca: authorities }),
  });
  let socket: net.Socket | undefined;
  webSocket.once("upgrade", (response) => {
    socket = response.socket;
    socket.setKeepAlive(true, KEEPALIVE_DELAY_MS);
  });
  return connected(webSocket, {
    event: "open",
    peer,
    signal,
    drop: () => webSocket.terminate(),
    made: () => new SocketChannel(new WebSocketStream(webSocket, socket!), peer, options),
  });
}

/** Those that come with Node and of NODE_EXTRA_CA_CERTS, those of the system, and those in the file of the address. */
async function trustedAuthorities({ tls: { ca } }: WebSocketAddress): Promise<string[]> {
  const known = [...tls.getCACertificates("default"), ...tls.getCACertificates("system")];
  if (ca === undefined) return known;
  try {
    return [...known, await readFile(ca, "utf8")];
  } catch (error) {
    throw systemError("CONNECT_FAILED", `Could not open '${ca}'`, error);
  }
}
