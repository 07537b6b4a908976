import { describeAddress, systemError } from "@peregrine/transport";
import type { WebSocketAddress } from "@peregrine/transport";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { checkLoopback, isAdmitted } from "./admission.ts";

export interface WebSocketListenerOptions {
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
  { maxMessageBytes, origins, accept }: WebSocketListenerOptions,
): Promise<WebSocketListener> {
  checkLoopback(address.host);
  const server = new WebSocketServer({
    host: address.host,
    port: address.port,
    path: address.resource,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
    clientTracking: false,
    verifyClient: ({ req }: { req: IncomingMessage }) => isAdmitted(req, origins),
  });
  try {
    await once(server, "listening");
  } catch (error) {
    throw systemError("LISTEN_FAILED", `Failed to listen on '${describeAddress(address)}'`, error);
  }
  // A connection could not be accepted, for example for want of descriptors. The listener itself is sound.
  server.on("error", () => {});
  server.on("connection", accept);
  return {
    address: { ...address, port: (server.address() as AddressInfo).port },
    close: () => closed(server),
  };
}

/** The address is free at once; accepted connections live on. */
function closed(server: WebSocketServer): Promise<void> {
  server.close();
  return Promise.resolve();
}
