import { once } from "node:events";
import net from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Channel, Listener } from "./channel.ts";
import { connect, listen } from "./uri.ts";
import { formatUri } from "./address.ts";
import { MAX_FRAGMENTS, MAX_HANDSHAKE_BYTES, SUBPROTOCOL } from "./web-socket-limits.ts";

let listener: Listener;
let uri: string;
let port: number;

beforeEach(async () => {
  listener = await listen("ws://127.0.0.1:0/");
  uri = formatUri(listener.address);
  port = listener.address.kind === "ws" ? listener.address.port : 0;
});

afterEach(() => listener.close());

/** A client that can do what the library's own does not, and the channel at the other end. */
async function opened(): Promise<{ readonly socket: net.Socket; readonly channel: Channel }> {
  const client = new WebSocket(uri, SUBPROTOCOL, { perMessageDeflate: false });
  const upgraded = once(client, "upgrade");
  const [channel] = await Promise.all([listener.accept(), once(client, "open")]);
  const [{ socket }] = (await upgraded) as [{ socket: net.Socket }];
  client.on("error", () => {});
  return { socket, channel };
}

function frame(opcode: number, payload: Uint8Array, final = true): Buffer {
  return Buffer.concat([Buffer.of((final ? 0x80 : 0) | opcode, 0x80 | payload.length, 0, 0, 0, 0), payload]);
}

async function end(channel: Channel): Promise<string> {
  try {
    for await (const _ of channel.read()) expect.fail("there was a message");
    return "ended";
  } catch (error) {
    return (error as Error).message;
  }
}

describe("a listener for WebSockets", () => {
  test("does not put a message together from any number of pieces", async () => {
    const { socket, channel } = await opened();
    const piece = frame(0, Uint8Array.of(1), false);
    socket.write(frame(2, Uint8Array.of(1), false));
    socket.write(Buffer.concat(Array.from({ length: MAX_FRAGMENTS }, () => piece)));
    expect(await end(channel)).toMatch(/Too many message fragments/u);
    socket.destroy();
  });

  test("outlives those that ask for something else and break off", async () => {
    for (let n = 0; n < 20; n++) {
      const socket = net.connect(port, "127.0.0.1");
      socket.on("error", () => {});
      await once(socket, "connect");
      const ask = `GET /else HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
      socket.write(ask, () => socket.resetAndDestroy());
      await once(socket, "close");
    }
    const { socket, channel } = await opened();
    channel.destroy();
    socket.destroy();
  });

  test("keeps no answers to pings for a peer that reads none", async () => {
    const { socket, channel } = await opened();
    socket.pause();
    const ping = frame(9, new Uint8Array(100));
    const pings = Buffer.concat(Array.from({ length: 1000 }, () => ping));
    const before = process.memoryUsage().external + process.memoryUsage().heapUsed;
    for (let sent = 0; sent < 400; sent++) {
      if (!socket.write(pings)) await once(socket, "drain");
    }
    // What is behind them has been read, so they have.
    const chunks = channel.read();
    socket.write(frame(2, Uint8Array.of(7)));
    expect((await chunks.next()).value).toEqual(Buffer.of(7));
    // All answers would be 40 MB, and as many objects as pings.
    const after = process.memoryUsage().external + process.memoryUsage().heapUsed;
    expect(after - before).toBeLessThan(100 * 2 ** 20);
    socket.destroy();
    channel.destroy();
  });

  test("answers the pings of one that does", async () => {
    const client = new WebSocket(uri, SUBPROTOCOL);
    const [channel] = await Promise.all([listener.accept(), once(client, "open")]);
    client.ping("here");
    const [data] = (await once(client, "pong")) as [Buffer];
    expect(data.toString()).toBe("here");
    client.terminate();
    channel.destroy();
  });

  test("is done with whoever it has refused, though he keeps his end open", async () => {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("error", () => {});
    socket.write("GET /other HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 404 /u);
    // To write to what is closed at the other end is answered with a reset, sooner or later.
    const closed = Promise.withResolvers<void>();
    socket.once("close", () => closed.resolve());
    const writing = setInterval(() => socket.write("x"), 5);
    await closed.promise;
    clearInterval(writing);
  });

  test("reads no head of any length", async () => {
    const socket = net.connect({ port, host: "127.0.0.1" });
    socket.on("error", () => {});
    socket.write(`GET / HTTP/1.1\r\nX: ${"x".repeat(MAX_HANDSHAKE_BYTES)}\r\n`);
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 431 /u);
    socket.destroy();
  });

  test("takes a good one meanwhile", async () => {
    const silent = net.connect({ port, host: "127.0.0.1" });
    await once(silent, "connect");
    const halved = net.connect({ port, host: "127.0.0.1" });
    halved.write("GET / HTTP/1.1\r\nHost:");
    const [channel, other] = await Promise.all([listener.accept(), connect(uri)]);
    channel.destroy();
    other.destroy();
    silent.destroy();
    halved.destroy();
  });
});
