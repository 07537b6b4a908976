import { MigrationError } from "@peregrine/protocol";
import { connect, formatUri } from "@peregrine/transport";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeAgent } from "../test/fake-agent.ts";
import { RawClient } from "../test/raw-client.ts";
import { monitorOf } from "../test/monitor-of.ts";
import { LOGIN } from "../test/token.ts";
import { VERSION } from "../test/version.ts";
import type { MonitorLimits } from "./limits.ts";
import { MonitorServer } from "./server.ts";

const TIME = 1_700_000_000_123.456;
const TIMESTAMP = { seconds: 1_700_000_000, microseconds: 123_456 };

describe.each(["tcp", "unix"])("a QMP server on a %s socket", (kind) => {
  let agent: FakeAgent;
  let server: MonitorServer;
  let folder: string;
  let uri: string;
  const clients: RawClient[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "peregrine-"));
    await start();
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.channel.destroy();
    await server.close();
    await rm(folder, { recursive: true });
  });

  async function start(limits: Partial<MonitorLimits> = {}): Promise<void> {
    agent = new FakeAgent();
    server = new MonitorServer({
      ...monitorOf(agent),
      limits,
      now: () => TIME,
    });
    uri = formatUri(await server.listen(kind === "tcp" ? "tcp:127.0.0.1:0" : `unix:${join(folder, "qmp")}`));
  }

  async function restart(limits: Partial<MonitorLimits>): Promise<void> {
    await server.close();
    await start(limits);
  }

  async function open(): Promise<RawClient> {
    const client = await RawClient.negotiated(uri);
    clients.push(client);
    return client;
  }

  test("greets, negotiates and answers with the id", async () => {
    const client = await RawClient.connect(uri);
    clients.push(client);
    expect(await client.next()).toEqual({ QMP: { version: VERSION, capabilities: [] } });
    expect(await client.ask({ execute: "query-status", id: 1 })).toEqual({
      error:
        kind === "unix"
          ? { class: "CommandNotFound", desc: "Expecting capabilities negotiation with 'qmp_capabilities'" }
          : {
              class: "GenericError",
              desc: expect.stringMatching(/^This monitor needs a token: begin with /u),
            },
      id: 1,
    });
    expect(await client.ask({ ...LOGIN, id: 2 })).toEqual({ return: {}, id: 2 });
    expect(await client.ask({ execute: "query-version", id: 3 })).toEqual({ return: VERSION, id: 3 });
    expect(await client.ask({ execute: "frobnicate" })).toEqual({
      error: { class: "CommandNotFound", desc: "The command frobnicate has not been found" },
    });
  });

  test("goes on after bad JSON, and takes many commands at once", async () => {
    const client = await open();
    await client.send(
      '{"execute": }\n{"execute":"query-name","id":1}\n{"execute":"query-name","id":2}\n{"exe',
    );
    expect(await client.next()).toMatchObject({ error: { class: "GenericError" } });
    expect(await client.next()).toEqual({ return: { name: "lua" }, id: 1 });
    expect(await client.next()).toEqual({ return: { name: "lua" }, id: 2 });
    await client.send('cute":"query-name","id":3}\n');
    expect(await client.next()).toEqual({ return: { name: "lua" }, id: 3 });
  });

  test("answers every command of a client that has ended its side", async () => {
    const client = await open();
    await client.send('{"execute":"query-name"}\n{"execute":"query-status"}\n');
    await client.channel.end();
    expect(await client.next()).toEqual({ return: { name: "lua" } });
    expect(await client.next()).toEqual({ return: { status: "running", running: true } });
    expect(await client.next()).toBeUndefined();
    await client.channel.closed;
    expect(client.channel.error).toBeUndefined();
  });

  test("tells an agent's refusal and an agent's defect in one sentence each", async () => {
    const client = await open();
    agent.refusal = new MigrationError("WRONG_STATE", "Guest is waiting for an incoming migration");
    expect(await client.ask({ execute: "cont" })).toEqual({
      error: { class: "GenericError", desc: "Guest is waiting for an incoming migration" },
    });
    agent.refusal = new TypeError("x is not a function");
    expect(await client.ask({ execute: "cont" })).toEqual({
      error: { class: "GenericError", desc: "x is not a function" },
    });
  });

  test("carries out one command of a client at a time, and serves the others meanwhile", async () => {
    const slow = await open();
    const other = await open();
    const stopped = Promise.withResolvers<void>();
    agent.stopping = stopped.promise;
    await slow.send('{"execute":"stop","id":"stop"}\n{"execute":"query-status","id":"status"}\n');
    expect(await other.ask({ execute: "query-status" })).toEqual({
      return: { status: "running", running: true },
    });
    stopped.resolve();
    expect(await slow.next()).toEqual({ event: "STOP", timestamp: TIMESTAMP });
    expect(await slow.next()).toEqual({ return: {}, id: "stop" });
    expect(await slow.next()).toEqual({ return: { status: "paused", running: false }, id: "status" });
  });

  test("sends events to every client that has negotiated", async () => {
    const [first, second] = [await open(), await open()];
    const silent = await RawClient.connect(uri);
    clients.push(silent);
    await silent.next();
    agent.emit({ name: "RESUME" });
    agent.emit({ name: "SHUTDOWN", data: { guest: true, reason: "guest-shutdown" } });
    for (const client of [first, second]) {
      expect(await client.next()).toEqual({ event: "RESUME", timestamp: TIMESTAMP });
      expect(await client.next()).toEqual({
        event: "SHUTDOWN",
        data: { guest: true, reason: "guest-shutdown" },
        timestamp: TIMESTAMP,
      });
    }
    expect(await silent.ask(LOGIN)).toEqual({ return: {} });
  });

  test("sends events of the migration only while they are wanted", async () => {
    const client = await open();
    const migrate = { execute: "migrate", arguments: { uri: "tcp::1" } };
    expect(await client.ask(migrate)).toEqual({ return: {} });
    const wish = { capabilities: [{ capability: "events", state: true }] };
    expect(await client.ask({ execute: "migrate-set-capabilities", arguments: wish })).toEqual({
      return: {},
    });
    expect(await client.ask(migrate)).toEqual({
      event: "MIGRATION",
      data: { status: "setup" },
      timestamp: TIMESTAMP,
    });
    expect(await client.next()).toEqual({ event: "MIGRATION_PASS", data: { pass: 1 }, timestamp: TIMESTAMP });
    expect(await client.next()).toEqual({ return: {} });
  });

  test("drops a client that does not read, and nobody else", async () => {
    await restart({ outputBytes: 100_000 });
    const lazy = await connect(uri);
    await lazy.write(Buffer.from(`${JSON.stringify(LOGIN)}\n`));
    const eager = await open();
    agent.setCapabilities([{ capability: "events", state: true }]);
    const padding = "x".repeat(20_000);
    // The lazy client notices that it was dropped when it tries to write.
    for (let round = 0; lazy.error === undefined; round++) {
      expect(round).toBeLessThan(2000);
      agent.emit({ name: "MIGRATION", data: { status: padding as "setup" } });
      expect(await eager.next()).toMatchObject({ event: "MIGRATION" });
      await lazy.write(Buffer.from(" \n")).catch(() => {});
    }
    expect(await eager.ask({ execute: "query-name" })).toEqual({ return: { name: "lua" } });
  });

  test("turns away more clients than it has room for", async () => {
    await restart({ clients: 2 });
    const [first] = [await open(), await open()];
    const attempt = async (): Promise<unknown> => {
      const client = await RawClient.connect(uri);
      clients.push(client);
      await client.next().catch(() => undefined);
      return client.ask(LOGIN).catch(() => undefined);
    };
    const refused = await attempt();
    if (kind === "unix") expect(refused).toBeUndefined();
    else expect(refused).toMatchObject({ error: { desc: "The monitor has as many clients as it may have" } });
    first.channel.destroy();
    // The place is free as soon as the server has noticed that its client is gone.
    for (let answer: unknown; (answer as { return?: unknown } | undefined)?.return === undefined;) {
      answer = await attempt();
    }
  });

  test("lets the answer out when it is closed by a command", async () => {
    const client = await open();
    let closing: Promise<void> | undefined;
    agent.quit = () => {
      closing = server.close();
    };
    await client.send('{"execute":"quit","id":1}\n{"execute":"migrate_cancel"}\n');
    expect(await client.next()).toEqual({ return: {}, id: 1 });
    expect(await client.next()).toBeUndefined();
    await closing;
    expect(agent.calls).toEqual([]);
    expect(agent.listeners).toBe(0);
    await expect(connect(uri)).rejects.toMatchObject({ code: "CONNECT_FAILED" });
  });

  test("does not wait for ever for a client when it is closed", async () => {
    await restart({ closeTimeout: 20 });
    const client = await open();
    agent.stopping = new Promise(() => {});
    await client.send('{"execute":"stop"}\n');
    const other = await open();
    expect(await other.ask({ execute: "query-name" })).toEqual({ return: { name: "lua" } });
    await server.close();
    expect(await client.next().catch(() => undefined)).toBeUndefined();
  });

  test("listens on several addresses", async () => {
    const second = formatUri(await server.listen(`unix:${join(folder, "second")}`));
    expect(second).toBe(`unix:${join(folder, "second")}`);
    const client = await RawClient.negotiated(second);
    clients.push(client);
    expect(await client.ask({ execute: "query-name" })).toEqual({ return: { name: "lua" } });
  });

  test("says why it cannot listen", async () => {
    await expect(server.listen(uri)).rejects.toMatchObject({
      code: "LISTEN_FAILED",
      message: expect.stringContaining("Address already in use"),
    });
  });
});
