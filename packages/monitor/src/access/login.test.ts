import { formatUri } from "@peregrine/transport";
import * as fc from "fast-check";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { FakeAgent } from "../../test/fake-agent.ts";
import { monitorOf } from "../../test/monitor-of.ts";
import { RawClient } from "../../test/raw-client.ts";
import { LOGIN, TOKEN } from "../../test/token.ts";
import { DEFAULT_MONITOR_LIMITS } from "../limits.ts";
import type { MonitorLimits } from "../limits.ts";
import { MonitorServer } from "../server.ts";
import { AccessToken } from "./access-token.ts";
import { Login } from "./login.ts";

const NEEDED = {
  error: { class: "GenericError", desc: expect.stringMatching(/^This monitor needs a token: /u) },
};
const WRONG = { error: { class: "GenericError", desc: "The token is wrong" } };

const withToken = (token: unknown): unknown => ({ execute: "qmp_capabilities", arguments: { token } });

describe("a client of QMP over the network", () => {
  let agent: FakeAgent;
  let server: MonitorServer | undefined;
  let uri: string;
  const clients: RawClient[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) client.channel.destroy();
    await server?.close();
  });

  async function start(limits: Partial<MonitorLimits> = {}): Promise<void> {
    agent = new FakeAgent();
    server = new MonitorServer({ ...monitorOf(agent), limits: { loginDelay: 1, ...limits } });
    uri = formatUri(await server.listen("tcp:127.0.0.1:0"));
  }

  async function open(): Promise<RawClient> {
    const client = await RawClient.connect(uri);
    clients.push(client);
    return client;
  }

  async function greeted(): Promise<RawClient> {
    const client = await open();
    expect(await client.next()).toHaveProperty("QMP");
    return client;
  }

  /** The connection ends with nothing more. */
  async function isDropped(client: RawClient): Promise<void> {
    expect(await client.next().catch(() => undefined)).toBeUndefined();
  }

  test("gives its token with the negotiation", async () => {
    await start();
    const client = await greeted();
    expect(await client.ask({ ...LOGIN, id: 1 })).toEqual({ return: {}, id: 1 });
    expect(await client.ask({ execute: "query-name" })).toEqual({ return: { name: "lua" } });
  });

  test.each([
    ["a negotiation without one", { execute: "qmp_capabilities" }],
    ["a command", { execute: "quit" }],
    ["one that does not exist", { execute: "frobnicate" }],
    ["a command with the token", { execute: "quit", arguments: { token: TOKEN } }],
    ["a token that is no text", withToken([TOKEN])],
    ["no command at all", [TOKEN]],
    ["what is no JSON", undefined],
  ])("is told the same of %s", async (_, request) => {
    await start();
    const client = await greeted();
    expect(await client.ask(request)).toEqual(NEEDED);
    expect(agent.calls).toEqual([]);
    expect(await client.ask(LOGIN)).toEqual({ return: {} });
  });

  test("is let in by the token alone", async () => {
    await start({ loginTries: Number.POSITIVE_INFINITY });
    const client = await greeted();
    for (const token of ["", ` ${TOKEN}`, TOKEN.slice(1), `${TOKEN}\n`, TOKEN.toUpperCase(), "\uD800"]) {
      expect(await client.ask(withToken(token))).toEqual(WRONG);
    }
    expect(await client.ask(LOGIN)).toEqual({ return: {} });
  });

  test("has a few tries, and none of what it sends with them is carried out", async () => {
    await start();
    const client = await greeted();
    const requests = [withToken("a"), { execute: "quit" }, withToken("b"), LOGIN, { execute: "quit" }];
    await client.send(requests.map((request) => `${JSON.stringify(request)}\n`).join(""));
    expect([await client.next(), await client.next(), await client.next()]).toEqual([WRONG, NEEDED, WRONG]);
    await isDropped(client);
    expect(agent.calls).toEqual([]);
  });

  test("has little time, and hears no events meanwhile", async () => {
    await start({ loginTimeout: 20 });
    const client = await greeted();
    agent.emit({ name: "RESUME" });
    await isDropped(client);
  });

  test("that is not known takes nobody's place who is", async () => {
    await start({ clients: 1, logins: 2 });
    const [first, second] = [await greeted(), await greeted()];
    await isDropped(await open());
    expect(await first.ask(LOGIN)).toEqual({ return: {} });
    expect(await (await greeted()).ask(withToken("x"))).toEqual(WRONG);
    expect(await second.ask(LOGIN)).toMatchObject({
      error: { desc: "The monitor has as many clients as it may have" },
    });
    await isDropped(second);
    expect(await first.ask({ execute: "query-name" })).toEqual({ return: { name: "lua" } });
  });

  test("is not kept in memory with a line that has no end", async () => {
    await start({ loginTimeout: 60_000, objectBytes: 1000 });
    const client = await greeted();
    await client.send("x".repeat(100_000));
    expect(await client.ask(LOGIN)).toEqual(NEEDED);
    expect(await client.ask(LOGIN)).toEqual({ return: {} });
  });
});

test("a client has all the time once it is known", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const access = { kind: "token", token: new AccessToken(TOKEN) } as const;
  const drops = [vi.fn(), vi.fn()];
  const [known, stranger] = drops.map((drop) => {
    const login = new Login({ access, limits: DEFAULT_MONITOR_LIMITS, hasRoom: () => true });
    login.begin(drop);
    return login;
  });
  await known!.attempt(TOKEN, "");
  vi.advanceTimersByTime(DEFAULT_MONITOR_LIMITS.loginTimeout);
  expect([known!.isKnown, stranger!.isKnown]).toEqual([true, false]);
  expect(drops.map((drop) => drop.mock.calls.length)).toEqual([0, 1]);
});

test("a client that tries many tokens at once has no more tries than one that waits", async () => {
  const token = new AccessToken(TOKEN);
  const matches = vi.spyOn(token, "matches");
  const limits = { ...DEFAULT_MONITOR_LIMITS, loginDelay: 1 };
  const login = new Login({ access: { kind: "token", token }, limits, hasRoom: () => true });
  const outcomes = await Promise.allSettled(["a", "b", "c", TOKEN].map((text) => login.attempt(text, "")));
  const denied = (message: string): unknown => ({ reason: { code: "ACCESS_DENIED", message } });
  const wrong = denied("The token is wrong");
  expect(outcomes).toMatchObject([wrong, wrong, wrong, denied("There were too many tries")]);
  expect(matches).toHaveBeenCalledTimes(3);
  expect([login.isKnown, login.isOver]).toEqual([false, true]);
});

test("without a token nothing is opened to the network", async () => {
  const { token: _token, ...options } = monitorOf(new FakeAgent());
  const server = new MonitorServer(options);
  for (const [uri, kind] of [
    ["tcp:127.0.0.1:0", "qmp"],
    ["tcp:[::1]:0", "human"],
    ["ws://127.0.0.1:0/", "qmp"],
  ] as const) {
    await expect(server.listen(uri, kind)).rejects.toMatchObject({
      code: "TOKEN_NEEDED",
      message:
        `A monitor at '${uri}' can be reached by others and needs a token: give --monitor-token-file FILE, ` +
        `set PEREGRINE_MONITOR_TOKEN, ${uri.startsWith("tcp:") ? "ask for certificates by --monitor-tls-creds, " : ""}` +
        "or listen on unix:PATH",
    });
  }
  await server.close();
});

test("a token matches itself alone, and cannot be read out again", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (secret, text) => {
      const token = new AccessToken(secret);
      expect(token.matches(secret)).toBe(true);
      expect(token.matches(text)).toBe(text === secret);
    }),
  );
  expect(JSON.stringify(new AccessToken(TOKEN))).toBe("{}");
});
