import { AccessToken } from "@peregrine/monitor";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { once } from "node:events";
import net from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { FakeGuest, observation, SAMPLE } from "../test/fake-guest.ts";
import { PageClient } from "./testing/page-client.ts";
import { DashboardServer } from "./dashboard-server.ts";
import type { DashboardOptions } from "./dashboard-server.ts";
import type { GuestView } from "./guest-view.ts";

const TOKEN = "correct-horse-battery-staple";

const FILES = {
  stamp: "1",
  files: {
    "index.html": { type: "text/html; charset=utf-8", text: "<!doctype html>" },
    "dashboard.js": { type: "text/javascript; charset=utf-8", text: "start()" },
  },
};

let server: DashboardServer | undefined;
const clients: PageClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.terminate();
  await server?.close();
});

async function start(
  guests: readonly FakeGuest[] = [],
  more: Partial<DashboardOptions> = {},
): Promise<string> {
  server = await DashboardServer.listen({
    address: { host: "127.0.0.1", port: 0 },
    token: new AccessToken(TOKEN),
    find: [() => Promise.resolve(guests.filter(({ isGone }) => !isGone))],
    files: FILES,
    policy: { exec: true, hostFromNetwork: false },
    version: "1.2.3",
    ...more,
  });
  return server.url;
}

async function connect(url: string): Promise<PageClient> {
  const client = await PageClient.connect(url);
  clients.push(client);
  return client;
}

async function logIn(url: string): Promise<PageClient> {
  const client = await connect(url);
  client.send({ kind: "login", token: TOKEN });
  expect(await client.next("welcome")).toEqual({ kind: "welcome", version: "1.2.3" });
  return client;
}

async function get(
  url: string,
  headers: Record<string, string> = {},
  method = "GET",
): Promise<IncomingMessage & { text: string }> {
  const asked = request(url, { headers, method }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return Object.assign(response, { text });
}

const shows = (client: PageClient, fits: (guest: GuestView) => boolean) =>
  client.next("frame", ({ guests }) => guests.some(fits));

/** Asks for a WebSocket as a page of another host would. */
async function askFromElsewhere(url: string, then: (socket: net.Socket) => void): Promise<net.Socket> {
  const { hostname, port } = new URL(url);
  const socket = net.connect({ port: Number(port), host: hostname, allowHalfOpen: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  const head = `GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://b\r\n\r\n`;
  socket.write(head, () => then(socket));
  return socket;
}

describe("a server", () => {
  test("outlives strangers that break off", async () => {
    const url = await start();
    for (let n = 0; n < 20; n++) {
      const socket = await askFromElsewhere(url, (one) => one.resetAndDestroy());
      if (!socket.closed) await once(socket, "close");
    }
    expect((await get(url)).statusCode).toBe(200);
  });

  test("keeps no place for strangers that stay", async () => {
    const url = await start([], { limits: { connections: 3 } });
    const sockets: net.Socket[] = [];
    for (let n = 0; n < 10; n++) {
      const socket = await askFromElsewhere(url, () => {});
      socket.resume();
      await once(socket, "end");
      sockets.push(socket);
    }
    expect((await get(url)).statusCode).toBe(200);
    await server!.close();
    for (const socket of sockets) socket.destroy();
  });

  test("does not wait for a page that reads nothing any more", async () => {
    const client = await logIn(await start());
    client.socket.pause();
    const since = performance.now();
    await server!.close();
    expect(performance.now() - since).toBeLessThan(20_000);
  });
});

describe("the files of the page", () => {
  test("are served with a policy that lets the page load nothing from elsewhere and nothing written into it", async () => {
    const url = await start();
    const { headers, statusCode, text } = await get(url);
    expect([statusCode, text]).toEqual([200, "<!doctype html>"]);
    expect(headers["content-security-policy"]).toMatch(
      /^default-src 'none'; script-src 'self'; style-src 'self';/u,
    );
    expect(headers["content-security-policy"]).not.toContain("unsafe");
    expect(headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      etag: '"1"',
    });
    expect((await get(`${url}dashboard.js`)).text).toBe("start()");
    expect((await get(url, { "If-None-Match": '"1"' })).statusCode).toBe(304);
  });

  test.each([
    ["another name for this machine", "", { Host: "rebound.example:80" }, "GET", 403],
    ["no file", "nothing", {}, "GET", 404],
    ["a file beside the page's", "../package.json", {}, "GET", 404],
    ["what every object has", "constructor", {}, "GET", 404],
    ["another method", "", {}, "POST", 405],
  ])("%s is refused", async (_, path, headers, method, status) => {
    const url = await start();
    const answer = await get(url + path, headers, method);
    expect(answer.statusCode).toBe(status);
    expect(answer.headers["content-security-policy"]).toBeDefined();
  });
});

describe("a page", () => {
  test.each([
    ["of another origin", { Origin: "https://example.org" }],
    ["of another port of this machine", { Origin: "http://127.0.0.1:1" }],
    ["that was found by another name", { Host: "rebound.example", Origin: "http://rebound.example" }],
    ["that does not say where it is from", { Origin: "" }],
  ])("%s cannot connect", async (_, headers) => {
    const url = await start();
    await expect(PageClient.connect(url, headers)).rejects.toThrow("403");
  });

  test("is shown nothing without the token, and has a few tries", async () => {
    const guest = new FakeGuest();
    const url = await start([guest], { limits: { loginDelay: 1 } });
    const client = await connect(url);
    for (const [message, refusal] of [
      [{ kind: "watch", guest: "web" }, "This dashboard needs its token first"],
      [
        { kind: "act", id: 1, guest: "web", action: { kind: "cancel" } },
        "This dashboard needs its token first",
      ],
      [{ kind: "login", token: `${TOKEN}x` }, "The token is wrong"],
    ] as const) {
      client.send(message);
      expect(await client.next("refused")).toEqual({ kind: "refused", message: refusal });
    }
    expect(await client.closed).toBe(1008);
    expect(client.received).toEqual([]);
    expect(guest.calls).toEqual([]);
  });

  test("has little time for it", async () => {
    const url = await start([], { limits: { loginTimeout: 30 } });
    const client = await connect(url);
    expect(await client.closed).toBe(1006);
  });

  test("with nonsense is dropped", async () => {
    const url = await start();
    for (const message of [{ kind: "quit" }, { kind: "login" }, { kind: "watch", guest: 1 }]) {
      const client = await connect(url);
      client.send(message);
      expect(await client.closed).toBe(1002);
    }
    const client = await connect(url);
    client.socket.send("text");
    expect(await client.closed).toBe(1002);
  });

  test("beyond those that may be there is turned away", async () => {
    const url = await start([], { limits: { clients: 1 } });
    await logIn(url);
    const second = await connect(url);
    second.send({ kind: "login", token: TOKEN });
    expect(await second.next("refused")).toMatchObject({
      message: expect.stringMatching(/as many clients/u),
    });
  });

  test("is shown every guest, and then what changes", async () => {
    const guest = new FakeGuest();
    const url = await start([guest]);
    const client = await logIn(url);
    const frame = await shows(client, ({ link, settings }) => link === "open" && settings !== null);
    expect(frame.guests[0]).toMatchObject({
      id: "web",
      name: "web",
      status: "running",
      settings: { bandwidth: 33_554_432, downtime: 30, autoConverge: true, xbzrle: false },
    });
    guest.answer = observation({ status: "paused" });
    guest.emit();
    await shows(client, ({ status }) => status === "paused");
    guest.isGone = true;
    guest.emit();
    await shows(client, ({ link }) => link === "ended");
  });

  test("that comes late has the whole timeline, and memory while it watches", async () => {
    const memory = {
      pagesPerCell: 2,
      blocks: [{ name: "ram", pages: 3, cells: 2 }],
      cells: Buffer.from([255, 0, 0, 0, 255, 0]).toString("base64"),
    };
    const guest = new FakeGuest();
    const url = await start([guest]);
    const first = await logIn(url);
    for (const elapsed of [1000, 1100, 1200]) {
      guest.answer = observation(
        { migration: { status: "active" } },
        { outgoing: { ...SAMPLE, elapsed }, memory },
      );
      guest.emit();
      await shows(first, ({ outgoing }) => outgoing?.elapsed === elapsed);
    }
    const late = await logIn(url);
    late.send({ kind: "watch", guest: "web" });
    const { watched } = await late.next("frame", (frame) => (frame.watched?.points.length ?? 0) > 0);
    expect(watched).toMatchObject({ guest: "web", restart: true });
    expect(watched!.points.map(([time]) => time)).toEqual([1, 1.1, 1.2]);
    expect(watched!.points[0]).toEqual([1, 1_000_000, 500_000, 300_000, 400, 30]);
    // It may have come along.
    const picture =
      watched!.memory ??
      (await late.next("frame", ({ watched: view }) => view?.memory != null)).watched!.memory!;
    expect([...picture.cells]).toEqual([255, 0, 0, 0, 255, 0]);
    // Another migration has another timeline.
    guest.answer = observation({}, { outgoing: { ...SAMPLE, migration: 2, elapsed: 5 } });
    guest.emit();
    const again = await late.next("frame", ({ watched: view }) => view?.restart === true);
    expect(again.watched!.points.map(([time]) => time)).toEqual([0.005]);
  });

  test("has done what it asks for, and is told what was refused", async () => {
    const guest = new FakeGuest();
    const url = await start([guest]);
    const client = await logIn(url);
    await shows(client, ({ link }) => link === "open");
    const migrate = {
      kind: "migrate",
      bandwidth: 1024,
      downtime: 50,
      autoConverge: true,
      xbzrle: false,
    } as const;
    client.send({ kind: "act", id: 1, guest: "web", action: { ...migrate, uri: "tcp:h:1" } });
    expect(await client.next("done")).toEqual({ kind: "done", id: 1, error: null });
    expect(guest.calls).toEqual([
      [
        "migrate-set-capabilities",
        {
          capabilities: [
            { capability: "auto-converge", state: true },
            { capability: "xbzrle", state: false },
          ],
        },
      ],
      ["migrate-set-parameters", { "max-bandwidth": 1024, "downtime-limit": 50 }],
      ["x-peregrine-migrate", { uri: "tcp:h:1" }],
    ]);
    guest.calls.splice(0);
    // The dashboard may be the guest's owner to its agent; the page is not.
    client.send({ kind: "act", id: 2, guest: "web", action: { ...migrate, uri: "unix:/run/other" } });
    expect((await client.next("done")).error).toMatch(/comes over the network/u);
    client.send({ kind: "act", id: 3, guest: "nobody", action: { kind: "cancel" } });
    expect((await client.next("done")).error).toBe("The agent of this guest cannot be reached");
    expect(guest.calls).toEqual([]);
    guest.refusal = new Error("There's a migration process in progress");
    client.send({ kind: "act", id: 4, guest: "web", action: { kind: "limit", bandwidth: 0, downtime: 1 } });
    expect((await client.next("done")).error).toBe("There's a migration process in progress");
  });

  test.each([
    [{ kind: "cancel" }, "migrate_cancel"],
    [{ kind: "converge" }, "x-peregrine-converge"],
    [{ kind: "switchover" }, "x-peregrine-switchover"],
    [{ kind: "continue" }, "migrate-continue"],
    [{ kind: "stop" }, "stop"],
    [{ kind: "cont" }, "cont"],
  ] as const)("%o is the command %s", async (action, command) => {
    const guest = new FakeGuest();
    const url = await start([guest]);
    const client = await logIn(url);
    await shows(client, ({ link }) => link === "open");
    client.send({ kind: "act", id: 7, guest: "web", action });
    expect(await client.next("done")).toMatchObject({ id: 7, error: null });
    expect(guest.calls.map(([name]) => name)).toEqual([command]);
  });

  test("with a message that is too long is dropped", async () => {
    const url = await start([], { limits: { messageBytes: 1000 } });
    const client = await logIn(url);
    client.send({ kind: "watch", guest: "x".repeat(1001) });
    expect(await client.closed).toBe(1009);
  });

  test("that asks for too much at once is told so, and can go on", async () => {
    const guest = new FakeGuest();
    const { promise, resolve } = Promise.withResolvers<void>();
    guest.held = promise;
    const url = await start([guest]);
    const client = await logIn(url);
    await shows(client, ({ link }) => link === "open");
    for (let id = 1; id <= 9; id++) client.send({ kind: "act", id, guest: "web", action: { kind: "stop" } });
    expect(await client.next("done")).toEqual({
      kind: "done",
      id: 9,
      error: "Too much was asked for at once",
    });
    resolve();
    for (let id = 1; id <= 8; id++) expect((await client.next("done")).error).toBeNull();
    client.send({ kind: "act", id: 10, guest: "web", action: { kind: "cont" } });
    expect(await client.next("done")).toEqual({ kind: "done", id: 10, error: null });
  });
});

test("there are so many connections at a time, and those that are there are left alone", async () => {
  const url = await start([], { limits: { connections: 2 } });
  const first = await logIn(url);
  const second = await logIn(url);
  await expect(PageClient.connect(url)).rejects.toThrow(/hang up|ECONNRESET/u);
  first.socket.terminate();
  await first.closed;
  second.send({ kind: "act", id: 1, guest: "nobody", action: { kind: "cancel" } });
  expect(await second.next("done")).toMatchObject({ id: 1 });
});
