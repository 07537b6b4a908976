import { describeAddress } from "./address.ts";
import type { Transport } from "./channel.ts";
import { parseWebSocketAddress } from "./web-socket-address.ts";

/** `ws://HOST:PORT[/PATH]`: the bytes of a stream in binary messages, for networks that let only HTTP through. */
export const ws: Transport = webSockets("ws");

/** The same over TLS. Who listens has `?cert=FILE&key=FILE`, who connects may have `?ca=FILE`. */
export const wss: Transport = webSockets("wss");

/** HTTP and TLS are loaded by the threads that use them: they cost more time and memory than all other transports. */
function webSockets(kind: "ws" | "wss"): Transport {
  return {
    parse: (rest) => parseWebSocketAddress(kind, rest),
    target(rest) {
      const address = parseWebSocketAddress(kind, rest);
      return { target: { host: address.host, port: address.port }, peer: describeAddress(address) };
    },
    async connect(rest, options) {
      const address = parseWebSocketAddress(kind, rest);
      const { connectWebSocket } = await import("./web-socket-connect.ts");
      return connectWebSocket(address, options);
    },
    async listen(rest, options) {
      const address = parseWebSocketAddress(kind, rest);
      const { listenForWebSockets } = await import("./web-socket-listener.ts");
      return listenForWebSockets(address, options);
    },
  };
}
