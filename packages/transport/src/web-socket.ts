import type { Transport } from "./channel.ts";
import { parseWebSocketAddress } from "./web-socket-address.ts";
import { connectWebSocket } from "./web-socket-connect.ts";
import { listenForWebSockets } from "./web-socket-listener.ts";

/** `ws://HOST:PORT[/PATH]`: the bytes of a stream in binary messages, for networks that let only HTTP through. */
export const ws: Transport = webSockets("ws");

/** The same over TLS. Who listens has `?cert=FILE&key=FILE`, who connects may have `?ca=FILE`. */
export const wss: Transport = webSockets("wss");

function webSockets(kind: "ws" | "wss"): Transport {
  return {
    parse: (rest) => parseWebSocketAddress(kind, rest),
    connect: async (rest, options) => connectWebSocket(parseWebSocketAddress(kind, rest), options),
    listen: async (rest, options) => listenForWebSockets(parseWebSocketAddress(kind, rest), options),
  };
}
