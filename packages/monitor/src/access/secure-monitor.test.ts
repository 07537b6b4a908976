import { formatUri } from "@peregrine/transport";
import type { ClientTls, ServerTls } from "@peregrine/transport";
import { bothSides } from "@peregrine/transport/testing/tls";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeAgent } from "../../test/fake-agent.ts";
import { monitorOf } from "../../test/monitor-of.ts";
import { TOKEN } from "../../test/token.ts";
import { QmpClient } from "../client.ts";
import { MonitorServer } from "../server.ts";
import type { MonitorSecurity } from "./monitor-access.ts";

describe.each(["x509", "psk"] as const)("a monitor with TLS (%s)", (kind) => {
  let directory: string;
  let ours: ClientTls;
  let theirs: ServerTls;
  let server: MonitorServer | undefined;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "peregrine-monitor-"));
    ({ client: ours, server: theirs } = await bothSides(directory, kind));
  });

  afterEach(async () => {
    await server?.close();
    rmSync(directory, { recursive: true });
  });

  async function start(security: MonitorSecurity): Promise<string> {
    const { token: _token, ...options } = monitorOf(new FakeAgent());
    server = new MonitorServer({ ...options, ...security });
    return formatUri(await server.listen("tcp:127.0.0.1:0"));
  }

  test("serves who is known, without a token", async () => {
    const uri = await start({ tls: theirs });
    const client = await QmpClient.connect(uri, { tls: ours });
    expect(await client.execute("query-name")).toEqual({ name: "lua" });
    await client.close();
  });

  test("with a token as well, wants both", async () => {
    const { token } = monitorOf(new FakeAgent());
    const uri = await start({ tls: theirs, token });
    const nameless = await QmpClient.connect(uri, { tls: ours }).catch((error: unknown) => error);
    expect(nameless).toMatchObject({ code: "ACCESS_DENIED" });
    const client = await QmpClient.connect(uri, { tls: ours, token: TOKEN });
    expect(await client.execute("query-name")).toEqual({ name: "lua" });
    await client.close();
  });

  test("says nothing to who has no TLS, and serves others meanwhile", async () => {
    const uri = await start({ tls: theirs });
    const stranger = connect(Number(/\d+$/u.exec(uri)![0]), "127.0.0.1");
    let heard = "";
    stranger.setEncoding("latin1").on("data", (text: string) => (heard += text));
    stranger.write(`${JSON.stringify({ execute: "qmp_capabilities" })}\n`);
    await once(stranger, "close");
    // At most an alert of TLS: no greeting and no answer.
    expect(heard).not.toContain("QMP");
    const client = await QmpClient.connect(uri, { tls: ours });
    expect(await client.execute("query-name")).toEqual({ name: "lua" });
    await client.close();
  });
});

test("credentials that let everybody in are not enough without a token", async () => {
  const directory = mkdtempSync(join(tmpdir(), "peregrine-monitor-"));
  try {
    const { server: tls } = await bothSides(directory);
    if (tls.credentials.kind !== "x509") throw new Error("these are not certificates");
    const open = { ...tls, credentials: { ...tls.credentials, verifyPeer: false } };
    const { token, ...options } = monitorOf(new FakeAgent());
    const server = new MonitorServer({ ...options, tls: open });
    await expect(server.listen("tcp:127.0.0.1:0")).rejects.toMatchObject({
      code: "TOKEN_NEEDED",
      message: expect.stringContaining("'tls0' of the monitor at 'tcp:127.0.0.1:0' let every client in"),
    });
    await server.close();
    const another = new MonitorServer({ ...options, tls: open, token });
    await another.listen("tcp:127.0.0.1:0");
    await another.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
