import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Channel, Listener } from "../channel.ts";
import { failure } from "../testing/opened.ts";
import { readAll } from "../testing/streams.ts";
import { bothSides } from "../testing/tls-sides.ts";
import type { TlsSides } from "../testing/tls-sides.ts";
import { connect, listen } from "../uri.ts";

let folder: string;
let sides: TlsSides;
const open: { destroy(): void }[] = [];
const listening: (net.Server | Listener)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-"));
  sides = await bothSides(folder);
});

afterEach(async () => {
  for (const one of open.splice(0)) one.destroy();
  for (const one of listening.splice(0)) await one.close();
});

afterAll(() => rm(folder, { recursive: true }));

describe("somebody in between", () => {
  /** Passes bytes on, until it is told otherwise. */
  async function between(
    port: number,
  ): Promise<{ readonly uri: string; readonly toServer: Promise<net.Socket> }> {
    const toServer = Promise.withResolvers<net.Socket>();
    const proxy = net.createServer((client) => {
      const server = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true });
      for (const socket of [client, server]) socket.on("error", () => undefined);
      open.push(client, server);
      client.pipe(server, { end: false });
      server.pipe(client);
      toServer.resolve(server);
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    listening.push(proxy);
    return { uri: `tcp:127.0.0.1:${(proxy.address() as net.AddressInfo).port}`, toServer: toServer.promise };
  }

  async function pair(): Promise<{ client: Channel; server: Channel; wire: net.Socket }> {
    const listener = await listen("tcp:127.0.0.1:0", { tls: sides.server });
    listening.push(listener);
    const { uri, toServer } = await between((listener.address as { readonly port: number }).port);
    const [client, server] = await Promise.all([connect(uri, { tls: sides.client }), listener.accept()]);
    open.push(client, server);
    return { client, server, wire: await toServer };
  }

  test("cannot end what was sent", async () => {
    const { client, server, wire } = await pair();
    await client.write(Buffer.from("half of it"));
    const reader = server.read();
    expect(Buffer.from((await reader.next()).value!).toString()).toBe("half of it");
    wire.end();
    const error = await failure(reader.next());
    expect(error.code).toBe("CHANNEL_CUT");
    expect(error.message).toMatch(
      /^Connection to '127\.0\.0\.1:\d+' failed: it ended without the end that TLS has/u,
    );
  });

  test("cannot add to it", async () => {
    const { server, wire } = await pair();
    const reading = failure(readAll(server));
    wire.write(Buffer.from([23, 3, 3, 0, 20, ...Buffer.alloc(20)]));
    const error = await reading;
    expect(error.code).toBe("TLS_FAILED");
    await server.closed;
    expect(server.error).toBe(error);
  });
});
