import { once } from "node:events";
import http from "node:http";
import type { IncomingMessage, Server } from "node:http";
import net from "node:net";
import { Duplex } from "node:stream";
import { afterEach, describe, expect, test, vi } from "vitest";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { listen } from "./uri.ts";
import type { Listener } from "./channel.ts";
import {
  MAX_MESSAGE_BYTES,
  MAX_READS_OF_MESSAGE,
  SUBPROTOCOL,
  WEB_SOCKET_OPTIONS,
} from "./web-socket-limits.ts";

describe("a listener for WebSockets", () => {
  let listener: Listener;
  afterEach(() => listener.close());

  /** The listener's own server, whose bounds can be made smaller while it listens. */
  async function serverOfListener(): Promise<{ readonly server: Server; readonly port: number }> {
    const made = vi.spyOn(http, "createServer");
    listener = await listen("ws://127.0.0.1:0/");
    const server = made.mock.results[0]!.value as Server;
    made.mockRestore();
    return { server, port: (server.address() as net.AddressInfo).port };
  }

  test("waits for a handshake for ten seconds, whether it has begun or not", async () => {
    const { server, port } = await serverOfListener();
    expect([server.headersTimeout, server.requestTimeout]).toEqual([10_000, 10_000]);
    server.headersTimeout = 50;
    server.requestTimeout = 50;
    const silent = net.connect({ port, host: "127.0.0.1" });
    const halved = net.connect({ port, host: "127.0.0.1" });
    halved.write("GET / HTTP/1.1\r\nHost:");
    await Promise.all(
      [silent, halved].map(async (socket) => {
        socket.on("error", () => undefined);
        socket.resume();
        await once(socket, "close");
      }),
    );
  });

  test("holds no more connections than it may", async () => {
    const { server, port } = await serverOfListener();
    expect(server.maxConnections).toBe(1024);
    server.maxConnections = 2;
    const held = [0, 1].map(() => net.connect({ port, host: "127.0.0.1" }));
    await Promise.all(held.map((socket) => once(socket, "connect")));
    const more = net.connect({ port, host: "127.0.0.1" });
    more.on("error", () => undefined);
    more.resume();
    await once(more, "close");
    expect(held.map(({ destroyed }) => destroyed)).toEqual([false, false]);
    for (const socket of held) socket.destroy();
  });
});

test("a message that comes in too many reads is refused, however small they are", async () => {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    ...WEB_SOCKET_OPTIONS,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: () => SUBPROTOCOL,
  });
  const pushed = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const socket = Object.assign(pushed, { setTimeout: () => undefined, setNoDelay: () => undefined });
  const request = {
    method: "GET",
    headers: {
      upgrade: "websocket",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-version": "13",
      "sec-websocket-protocol": SUBPROTOCOL,
    },
  } as unknown as IncomingMessage;
  const webSocket = await new Promise<WebSocket>((resolve) => {
    server.handleUpgrade(request, socket, Buffer.alloc(0), resolve);
  });
  const refused = once(webSocket, "error") as Promise<[Error]>;
  // A frame of as many bytes as a message may have, with its length in eight bytes and a mask of zeros.
  const head = Buffer.alloc(14);
  head.writeUInt8(0x82, 0);
  head.writeUInt8(0x80 | 127, 1);
  head.writeBigUInt64BE(BigInt(MAX_MESSAGE_BYTES), 2);
  socket.push(head);
  for (let read = 0; read <= MAX_READS_OF_MESSAGE; read++) {
    socket.push(Buffer.of(1));
    await new Promise(setImmediate);
    if (webSocket.readyState !== webSocket.OPEN) break;
  }
  const [error] = await refused;
  expect(error.message).toMatch(/Too many/u);
});
