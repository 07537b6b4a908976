import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { formatUri } from "./address.ts";
import type { Channel, Listener } from "./channel.ts";
import { listeningFixture, transportCompliance } from "./testing/index.ts";
import { failure } from "./testing/opened.ts";
import { readAll } from "./testing/streams.ts";
import { connect, listen, parseUri } from "./uri.ts";
import { SUBPROTOCOL } from "./web-socket-limits.ts";

const TRAITS = {
  medium: "connection",
  listens: true,
  gone: /^Connection to '.+' failed: (Broken pipe|Connection reset by peer)$/u,
} as const;

const folder = mkdtempSync(join(tmpdir(), "peregrine-"));
const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
const REQUEST = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout ${key} -out ${cert}`;
execFileSync("openssl", REQUEST.split(/\s+/u), { stdio: "ignore" });
afterAll(() => rmSync(folder, { recursive: true }));

const LISTEN_QUERY = `?${new URLSearchParams({ cert, key }).toString()}`;
const CONNECT_QUERY = `?${new URLSearchParams({ ca: cert }).toString()}`;

transportCompliance("ws", TRAITS, () => listeningFixture({ uri: "ws://127.0.0.1:0/guests" }));

transportCompliance("wss", { ...TRAITS, tellsCuts: true }, () =>
  listeningFixture({
    uri: `wss://127.0.0.1:0/${LISTEN_QUERY}`,
    connectQuery: CONNECT_QUERY,
    listenQuery: LISTEN_QUERY,
  }),
);

describe("the address of a WebSocket", () => {
  test.each([
    ["ws://h:4444", { kind: "ws", host: "h", port: 4444, resource: "/", tls: {} }],
    ["ws://[::1]:0/a/b", { kind: "ws", host: "::1", port: 0, resource: "/a/b", tls: {} }],
    ["ws://h/", { kind: "ws", host: "h", port: 80, resource: "/", tls: {} }],
    ["wss://h", { kind: "wss", host: "h", port: 443, resource: "/", tls: {} }],
    ["wss://h:1/?ca=/a%20b", { kind: "wss", host: "h", port: 1, resource: "/", tls: { ca: "/a b" } }],
    [
      "wss://h:1/x?cert=c&key=k",
      { kind: "wss", host: "h", port: 1, resource: "/x", tls: { cert: "c", key: "k" } },
    ],
  ])("%s is understood, and survives formatting", (uri, address) => {
    expect(parseUri(uri)).toEqual(address);
    expect(parseUri(formatUri(parseUri(uri)))).toEqual(address);
  });

  test.each([
    "ws:h:1",
    "ws://",
    "ws://:1",
    "ws://h:65536",
    "ws://u:p@h:1",
    "ws://h:1/#x",
    "ws://h 1",
    "wss:/h",
  ])("%s is refused", (uri) => {
    expect(() => parseUri(uri)).toThrow(
      expect.objectContaining({
        code: "BAD_ADDRESS",
        message: `error parsing address '${uri.slice(uri.indexOf(":") + 1)}'`,
      }),
    );
  });

  test.each(["ws://h:1/?ca=x", "wss://h:1/?color=red", "wss://h:1/?ca="])("%s asks for too much", (uri) => {
    expect(() => parseUri(uri)).toThrow(expect.objectContaining({ code: "BAD_ADDRESS" }));
  });
});

describe("TLS", () => {
  test("makes sure who is there", async () => {
    const listener = await listen(`wss://localhost:0/${LISTEN_QUERY}`);
    const uri = formatUri(listener.address);
    expect(uri).toMatch(/^wss:\/\/localhost:\d+\/$/u);
    const error = await failure(connect(uri));
    expect(error.code).toBe("TLS_FAILED");
    expect(error.message).toMatch(
      /^TLS with 'localhost:\d+' failed: the destination's certificate \(CN=localhost\) was not issued by an authority that this side knows \(those of this system; \?ca=FILE names one more\)/u,
    );
    const [client, server] = await Promise.all([connect(`${uri}${CONNECT_QUERY}`), listener.accept()]);
    client.destroy();
    server.destroy();
    await listener.close();
  });

  test("needs a certificate and its key on one side, and on the other side neither", async () => {
    for (const query of ["", `?cert=${cert}`, `${LISTEN_QUERY}&ca=${cert}`]) {
      expect((await failure(listen(`wss://127.0.0.1:0/${query}`))).code).toBe("BAD_ADDRESS");
    }
    expect((await failure(connect(`wss://127.0.0.1:1/${LISTEN_QUERY}`))).code).toBe("BAD_ADDRESS");
    expect(await failure(listen(`wss://127.0.0.1:0/?cert=${folder}/none&key=${key}`))).toMatchObject({
      code: "LISTEN_FAILED",
      message: `Could not open '${folder}/none': No such file or directory`,
    });
    expect(await failure(connect(`wss://127.0.0.1:1/?ca=${folder}/none`))).toMatchObject({
      code: "CONNECT_FAILED",
      message: `Could not open '${folder}/none': No such file or directory`,
    });
    const swapped = await failure(listen(`wss://127.0.0.1:0/?cert=${key}&key=${cert}`));
    expect(swapped.code).toBe("LISTEN_FAILED");
    expect(swapped.message).toContain(`'${key}' and '${cert}' are no certificate and its key: `);
  });
});

describe("a client of another kind", () => {
  let listener: Listener;
  let uri: string;
  const channels: Channel[] = [];

  beforeEach(async () => {
    listener = await listen("ws://127.0.0.1:0/guests");
    uri = formatUri(listener.address);
  });

  afterEach(async () => {
    for (const channel of channels.splice(0)) channel.destroy();
    await listener.close();
  });

  async function stranger(): Promise<[WebSocket, Channel]> {
    const webSocket = new WebSocket(uri, SUBPROTOCOL);
    const [channel] = await Promise.all([listener.accept(), once(webSocket, "open")]);
    channels.push(channel);
    return [webSocket, channel];
  }

  test.each([
    ["the wrong path", () => new WebSocket(`${uri}/other`, SUBPROTOCOL), 404],
    ["no subprotocol", () => new WebSocket(uri), 400],
    ["another subprotocol", () => new WebSocket(uri, "chat"), 400],
    ["a browser", () => new WebSocket(uri, SUBPROTOCOL, { origin: "https://example.org" }), 403],
  ])("with %s is turned away", async (_what, make, status) => {
    const webSocket = make();
    const message = await new Promise((resolve) => {
      webSocket.once("error", (error) => resolve(error.message));
    });
    expect(message).toBe(`Unexpected server response: ${status}`);
  });

  test("that wants a page is told what this is", async () => {
    const status = await new Promise((resolve, reject) => {
      http
        .get(uri.replace("ws:", "http:"), (response) => {
          response.resume();
          resolve(response.statusCode);
        })
        .once("error", reject);
    });
    expect(status).toBe(426);
  });

  test.each([
    [
      "text",
      (webSocket: WebSocket) => webSocket.send("hello"),
      "The peer sent text, and a migration stream is binary",
      1003,
    ],
    [
      "a message that is too long",
      (webSocket: WebSocket) => webSocket.send(Buffer.alloc((1 << 20) + 1)),
      "Max payload size exceeded",
      1009,
    ],
    [
      "more after its end",
      (webSocket: WebSocket) => {
        webSocket.send(Buffer.alloc(0));
        webSocket.send(Buffer.from("more"));
      },
      "The peer sent more after its end",
      1002,
    ],
  ])("that sends %s fails the channel", async (_what, send, reason, code) => {
    const [webSocket, channel] = await stranger();
    const closed = new Promise((resolve) => {
      webSocket.once("close", resolve);
    });
    const reading = readAll(channel);
    const ended = reading.then(
      () => "ended",
      () => "failed",
    );
    send(webSocket);
    expect(await closed).toBe(code);
    await ended;
    await channel.closed;
    expect(channel.error).toMatchObject({
      code: "CHANNEL_FAILED",
      message: `Connection to '${channel.peer}' failed: ${reason}`,
    });
  });

  test("sees the stream in messages of bounded size, an empty one at the end, and code 1000", async () => {
    const [webSocket, channel] = await stranger();
    const sizes: number[] = [];
    webSocket.on("message", (data: Buffer) => {
      sizes.push(data.length);
      if (data.length === 0) webSocket.send(Buffer.alloc(0));
    });
    const closed = new Promise((resolve) => {
      webSocket.once("close", resolve);
    });
    await channel.write(new Uint8Array(600 * 1024));
    await channel.end();
    expect(await readAll(channel)).toHaveLength(0);
    expect(await closed).toBe(1000);
    expect(sizes).toEqual([256 * 1024, 256 * 1024, 88 * 1024, 0]);
    expect(webSocket.extensions).toBe("");
    await channel.closed;
    expect(channel.error).toBeUndefined();
  });
});

test("a server that does not answer is given up while it is still to be known how the migration ends", async () => {
  const server = net.createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as net.AddressInfo;
  const accepted: net.Socket[] = [];
  server.on("connection", (socket) => accepted.push(socket));
  const since = performance.now();
  await expect(connect(`ws://127.0.0.1:${port}/`)).rejects.toMatchObject({
    code: "CONNECT_FAILED",
    message: `Failed to connect to '127.0.0.1:${port}': Opening handshake has timed out`,
  });
  expect(performance.now() - since).toBeGreaterThan(7900);
  for (const socket of accepted) socket.destroy();
  server.close();
});

test("a server of another kind is no destination", async () => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => false });
  await new Promise((resolve) => {
    server.once("listening", resolve);
  });
  const { port } = server.address() as { port: number };
  expect(await failure(connect(`ws://127.0.0.1:${port}/`))).toMatchObject({
    code: "CONNECT_FAILED",
    message: `Failed to connect to '127.0.0.1:${port}': Server sent no subprotocol`,
  });
  await new Promise((resolve) => {
    server.close(resolve);
  });
});
