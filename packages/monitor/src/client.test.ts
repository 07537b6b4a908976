import { connect, formatUri, listen } from "@peregrine/transport";
import type { Channel, Listener } from "@peregrine/transport";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeAgent } from "../test/fake-agent.ts";
import { monitorOf } from "../test/monitor-of.ts";
import { TOKEN } from "../test/token.ts";
import { VERSION } from "../test/version.ts";
import { QmpClient } from "./client.ts";
import type { ReceivedEvent } from "./client.ts";
import { MonitorServer } from "./server.ts";

describe("a QMP client", () => {
  let agent: FakeAgent;
  let server: MonitorServer;
  let uri: string;
  let client: QmpClient;

  beforeEach(async () => {
    agent = new FakeAgent();
    server = new MonitorServer({
      ...monitorOf(agent),
      limits: { closeTimeout: 20, loginDelay: 1 },
    });
    uri = formatUri(await server.listen("tcp:127.0.0.1:0"));
    client = await QmpClient.connect(uri, { token: TOKEN });
  });

  afterEach(async () => {
    await client.close();
    await server.close();
  });

  test("knows the version and carries out commands, also several at a time", async () => {
    expect(client.version).toEqual(VERSION);
    expect(await Promise.all([client.execute("query-name"), client.execute("query-status")])).toEqual([
      { name: "lua" },
      { status: "running", running: true },
    ]);
    await client.execute("migrate", { uri: "tcp::1" });
    expect(agent.calls).toEqual([["migrate", "tcp::1"]]);
  });

  test("rejects with the monitor's words", async () => {
    await expect(client.execute("nope")).rejects.toMatchObject({
      code: "COMMAND_NOT_FOUND",
      message: "The command nope has not been found",
    });
    await expect(client.execute("migrate")).rejects.toMatchObject({
      code: "COMMAND_FAILED",
      message: "need either 'uri' or 'channels' argument",
    });
  });

  test.each([
    [undefined, /needs a token: begin with \{"execute": "qmp_capabilities"/u],
    ["wrong", /The token is wrong/u],
  ])("says why it was not let in with the token %s", async (token, reason) => {
    const refused = QmpClient.connect(uri, { token });
    await expect(refused).rejects.toMatchObject({
      code: "ACCESS_DENIED",
      message: expect.stringMatching(/^The monitor at '127\.0\.0\.1:\d+' refused this client: /u),
    });
    await expect(refused).rejects.toThrow(reason);
  });

  test("hears events until it no longer wants to", async () => {
    const heard: ReceivedEvent[] = [];
    const unsubscribe = client.events.subscribe((event) => heard.push(event));
    await client.execute("stop");
    unsubscribe();
    await client.execute("cont");
    expect(heard).toEqual([
      { event: "STOP", timestamp: { seconds: expect.any(Number), microseconds: expect.any(Number) } },
    ]);
  });

  test("rejects what is pending when the server goes away", async () => {
    agent.stopping = new Promise(() => {});
    const rejected = expect(client.execute("stop")).rejects.toMatchObject({ code: "CHANNEL_FAILED" });
    await server.close();
    await rejected;
    await client.closed;
  });

  test("rejects what is pending when it is closed, and everything after", async () => {
    agent.stopping = new Promise(() => {});
    const rejected = expect(client.execute("stop")).rejects.toMatchObject({ code: "CHANNEL_FAILED" });
    await client.close();
    await rejected;
    await expect(client.execute("query-name")).rejects.toMatchObject({ code: "CHANNEL_FAILED" });
  });
});

describe("a QMP client and a peer that is no monitor", () => {
  test("keeps no line of any length", async () => {
    const connecting = QmpClient.connect(uri);
    const refused = expect(connecting).rejects.toMatchObject({ code: "CONNECT_FAILED" });
    peer = await listener.accept();
    // All of it is a greeting, but for its length.
    const greeting = '{"QMP": {"version": {"qemu": {"major": 1, "minor": 1, "micro": 1}, "package": ""}}}';
    const line = Buffer.alloc(1024 * 1024 + 2, " ");
    line.write(greeting);
    line.write("\n", line.length - 1);
    await peer.write(line).catch(() => undefined);
    await refused;
  });

  let listener: Listener;
  let uri: string;
  let peer: Channel;

  beforeEach(async () => {
    listener = await listen("tcp:127.0.0.1:0");
    uri = formatUri(listener.address);
  });

  afterEach(async () => {
    await listener.close();
  });

  async function connectTo(
    behave: (channel: Channel) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<QmpClient> {
    const connecting = QmpClient.connect(uri, signal === undefined ? {} : { signal });
    connecting.catch(() => {});
    peer = await listener.accept();
    await behave(peer);
    return connecting;
  }

  test("that closes at once", async () => {
    await expect(connectTo((channel) => channel.end())).rejects.toMatchObject({
      code: "CONNECT_FAILED",
      message: `Failed to connect to '${uri.slice(4)}': no QMP monitor answers there`,
    });
  });

  test("that says something else", async () => {
    await expect(connectTo((channel) => channel.write(Buffer.from('{"hello": 1}\n')))).rejects.toMatchObject({
      code: "CONNECT_FAILED",
    });
    await expect(connectTo((channel) => channel.write(Buffer.from("SSH-2.0\n")))).rejects.toMatchObject({
      code: "CONNECT_FAILED",
      message: `Failed to connect to '${uri.slice(4)}': no QMP monitor answers there`,
    });
  });

  test("that says nothing is given up by the signal", async () => {
    const abort = new AbortController();
    const connecting = connectTo(async () => abort.abort(), abort.signal);
    await expect(connecting).rejects.toMatchObject({
      code: "CANCELLED",
      message: `Connecting to '${uri.slice(4)}' was cancelled`,
    });
  });

  test("that refuses the negotiation", async () => {
    const greeting = `${JSON.stringify({ QMP: { version: VERSION, capabilities: [] } })}\n`;
    const refusal = `${JSON.stringify({ error: { class: "GenericError", desc: "no" } })}\n`;
    await expect(
      connectTo((channel) => channel.write(Buffer.from(greeting + refusal))),
    ).rejects.toMatchObject({
      code: "ACCESS_DENIED",
      message: `The monitor at '${uri.slice(4)}' refused this client: no`,
    });
  });

  test("that is not there", async () => {
    await listener.close();
    await expect(QmpClient.connect(uri)).rejects.toMatchObject({ code: "CONNECT_FAILED" });
    await expect(connect(uri)).rejects.toMatchObject({ code: "CONNECT_FAILED" });
  });
});
