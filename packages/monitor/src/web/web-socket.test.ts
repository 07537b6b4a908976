import { connect, formatUri } from "@peregrine/transport";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { WebSocket as NodeWebSocket } from "ws";
import { FakeAgent } from "../../test/fake-agent.ts";
import { monitorOf } from "../../test/monitor-of.ts";
import { LOGIN, TOKEN } from "../../test/token.ts";
import { VERSION } from "../../test/version.ts";
import { WebClient } from "../../test/web-client.ts";
import type { MonitorServerOptions } from "../server.ts";
import { MonitorServer } from "../server.ts";
import { decodeMessage, encodeMessage } from "./message-pack.ts";

const TIME = 1_700_000_000_123.456;
const TIMESTAMP = { seconds: 1_700_000_000, microseconds: 123_456 };

describe("a monitor at a WebSocket", () => {
  let agent: FakeAgent;
  let server: MonitorServer;
  let uri: string;

  beforeEach(() => start());

  afterEach(() => server.close());

  async function start(options: Partial<MonitorServerOptions> = {}): Promise<void> {
    agent = new FakeAgent();
    server = new MonitorServer({ ...monitorOf(agent), now: () => TIME, ...options });
    uri = formatUri(await server.listen("ws://127.0.0.1:0/qmp"));
  }

  async function restart(options: Partial<MonitorServerOptions>): Promise<void> {
    await server.close();
    await start(options);
  }

  /** The status of the answer to a handshake. */
  async function handshake(headers: Record<string, string>, target = uri): Promise<number> {
    const socket = new NodeWebSocket(target, { headers });
    socket.on("error", () => {});
    const open = once(socket, "open").then(() => 101);
    const refused = once(socket, "unexpected-response").then(
      (args) => (args[1] as IncomingMessage).statusCode!,
    );
    const status = await Promise.race([open, refused]);
    socket.terminate();
    return status;
  }

  test("greets, negotiates and answers as on any socket, an id of any type", async () => {
    const client = await WebClient.connect(uri);
    expect(await client.next()).toEqual({ QMP: { version: VERSION, capabilities: [] } });
    expect(await client.ask({ execute: "query-status", id: 1 })).toEqual({
      error: {
        class: "GenericError",
        desc: expect.stringMatching(/^This monitor needs a token: begin with /u),
      },
      id: 1,
    });
    expect(await client.ask({ ...LOGIN, id: null })).toEqual({ return: {}, id: null });
    const id = [{ deep: [1.5, "é", false] }];
    expect(await client.ask({ execute: "query-version", id })).toEqual({ return: VERSION, id });
    expect(await client.ask({ execute: "migrate", arguments: { uri: 1 } })).toEqual({
      error: { class: "GenericError", desc: "Invalid parameter type for 'uri', expected: string" },
    });
    expect(await client.ask({ execute: "x-peregrine-info" })).toEqual({ return: await agent.info() });
    client.socket.close(1000);
    expect(await client.closed()).toBe(1000);
  });

  test("pushes events, in their order with the answers", async () => {
    const client = await WebClient.negotiated(uri);
    client.send({ execute: "stop", id: 7 });
    expect(await client.next()).toEqual({ event: "STOP", timestamp: TIMESTAMP });
    expect(await client.next()).toEqual({ return: {}, id: 7 });
  });

  test("carries out one command after another, and goes on after a bad one", async () => {
    const client = await WebClient.negotiated(uri);
    client.socket.send("text");
    client.socket.send(Uint8Array.of(0x81));
    client.send([]);
    client.send({ execute: "query-name", id: 1 });
    client.send({ execute: "query-name", id: 2 });
    expect(await client.next()).toEqual({
      error: { class: "GenericError", desc: "A message has to be binary, one map in MessagePack" },
    });
    expect(await client.next()).toMatchObject({
      error: { class: "GenericError", desc: expect.stringMatching(/^MessagePack parse error, /u) },
    });
    expect(await client.next()).toMatchObject({ error: { desc: "QMP input must be a JSON object" } });
    expect(await client.next()).toEqual({ return: { name: "lua" }, id: 1 });
    expect(await client.next()).toEqual({ return: { name: "lua" }, id: 2 });
  });

  test("serves several clients, and turns away one too many", async () => {
    await restart({ limits: { clients: 2 } });
    const clients = [await WebClient.negotiated(uri), await WebClient.negotiated(uri)];
    const third = await WebClient.connect(uri);
    await third.next();
    const closed = third.closed();
    expect(await third.ask(LOGIN)).toMatchObject({
      error: { desc: "The monitor has as many clients as it may have" },
    });
    expect(await closed).toBe(1000);
    for (const client of clients) {
      expect(await client.ask({ execute: "query-name" })).toEqual({ return: { name: "lua" } });
    }
  });

  test("ends the connection of a client whose message is too long", async () => {
    await restart({ limits: { objectBytes: 1000 } });
    const client = await WebClient.negotiated(uri);
    client.socket.send(new Uint8Array(1001));
    expect(await client.closed()).toBe(1009);
  });

  test("drops a client before more than the limit waits for it", async () => {
    await restart({ limits: { outputBytes: 100_000 } });
    const client = await WebClient.negotiated(uri);
    const closed = client.closed();
    // Nothing can be sent between them, so all of them wait.
    for (let event = 0; event < 10_000; event++) agent.emit({ name: "RESUME" });
    expect(await closed).toBe(1006);
  });

  test("gives its clients their last answer when it closes", async () => {
    const stopping = Promise.withResolvers<void>();
    agent.stopping = stopping.promise;
    const stop = vi.spyOn(agent, "stop");
    const client = await WebClient.negotiated(uri);
    client.send({ execute: "stop", id: 1 });
    client.send({ execute: "cont", id: 2 });
    const closed = client.closed();
    // A second, as is usual, is less than a busy machine may stand still.
    await vi.waitFor(() => expect(stop).toHaveBeenCalled(), { timeout: 30_000 });
    const closing = server.close();
    stopping.resolve();
    expect(await client.next()).toMatchObject({ return: {}, id: 1 });
    await closing;
    expect(await closed).toBe(1000);
    expect(agent.running).toBe(false);
  });

  test.each([
    ["no page at all", {}, 101],
    ["a page of this machine", { origin: "http://localhost:3000" }, 101],
    ["a page of this machine by its address", { origin: "http://127.0.0.1" }, 101],
    ["a page of this machine by its IPv6 address", { origin: "http://[::1]:8080" }, 101],
    ["a page of somebody else", { origin: "https://example.org" }, 401],
    ["a page that hides its origin", { origin: "null" }, 401],
    ["a page with a name like this machine's", { origin: "http://127.0.0.1.example.org" }, 401],
    ["a name that was made to point here", { host: "example.org" }, 401],
    ["a page of that name", { host: "example.org:80", origin: "http://example.org:80" }, 401],
  ])("takes %s for what it is", async (_, headers, status) => {
    expect(await handshake(headers)).toBe(status);
  });

  test("lets in pages of another machine that was named", async () => {
    await restart({ origins: ["https://example.org"] });
    expect(await handshake({ origin: "https://example.org" })).toBe(101);
    expect(await handshake({ origin: "https://example.com" })).toBe(401);
  });

  test("is at its own path only", async () => {
    expect(await handshake({}, uri.replace("/qmp", "/other"))).toBe(400);
    const response = await fetch(uri.replace("ws:", "http:"));
    expect(response.status).toBe(426);
  });

  test("takes the token in the handshake, too", async () => {
    expect(await handshake({ authorization: `Bearer ${TOKEN}` })).toBe(101);
    await restart({ limits: { loginDelay: 1 } });
    for (const authorization of ["Bearer wrong", "Bearer", `Basic ${TOKEN}`, TOKEN]) {
      expect(await handshake({ authorization })).toBe(401);
    }
    const known = new NodeWebSocket(uri, { headers: { authorization: `bearer ${TOKEN}` } });
    const answers: unknown[] = [];
    const answered = new Promise<void>((resolve) => {
      known.on("message", (data: Buffer) => {
        if (answers.push(decodeMessage(data)) === 3) resolve();
      });
    });
    await once(known, "open");
    known.send(encodeMessage({ execute: "qmp_capabilities" }));
    known.send(encodeMessage({ execute: "query-name", id: 1 }));
    await answered;
    expect(answers.slice(1)).toEqual([{ return: {} }, { return: { name: "lua" }, id: 1 }]);
    known.terminate();
  });

  test("ends the connection of who makes no handshake", async () => {
    await restart({ limits: { loginTimeout: 20 } });
    const idle = await connect(uri.replace(/^ws:\/\/(.*)\/qmp$/u, "tcp:$1"));
    let text = "";
    for await (const chunk of idle.read()) text += Buffer.from(chunk).toString();
    expect(text).toMatch(/^(HTTP\/1\.1 408 |$)/u);
    idle.destroy();
  });

  test("is not served to other machines", async () => {
    for (const host of ["0.0.0.0", "[::]", "192.0.2.1", "example.org"]) {
      await expect(server.listen(`ws://${host}:0/`)).rejects.toMatchObject({
        code: "BAD_ADDRESS",
        message:
          "A monitor over WebSocket has no encryption and so listens on this machine only: " +
          `give 127.0.0.1, [::1] or localhost instead of '${host.replaceAll(/[[\]]/gu, "")}'`,
      });
    }
  });

  test("is not served where it cannot be", async () => {
    await expect(server.listen("ws://127.0.0.1:0/", "human")).rejects.toMatchObject({
      code: "BAD_ADDRESS",
      message: "No monitor can be served at 'ws://127.0.0.1:0/'; give tcp:HOST:PORT or unix:PATH",
    });
    await expect(server.listen("file:/x")).rejects.toMatchObject({ code: "BAD_ADDRESS" });
    await expect(server.listen(uri)).rejects.toMatchObject({
      code: "LISTEN_FAILED",
      message: expect.stringContaining("Address already in use"),
    });
  });

  test("is no longer there when it has closed", async () => {
    await server.close();
    await expect(connect(uri.replace(/^ws:\/\/(.*)\/qmp$/u, "tcp:$1"))).rejects.toMatchObject({
      code: "CONNECT_FAILED",
    });
  });
});
