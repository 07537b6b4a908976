import { AccessToken, DEFAULT_MONITOR_LIMITS, Login } from "@peregrine/monitor";
import { encodeMessage } from "@peregrine/monitor/web";
import { EventEmitter } from "node:events";
import { Unpackr } from "msgpackr/unpack";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { FakeGuest, observation, SAMPLE } from "../test/fake-guest.ts";
import { Guests } from "./guests.ts";
import type { Frame, FromPage, ToPage } from "./messages.ts";
import { MOST_UNREAD, MOST_WAITING, PageSession } from "./page-session.ts";

const TOKEN = "correct-horse-battery-staple";
const WATCH = { kind: "watch", guest: "web" } as const;
const ACT = { kind: "act", id: 1, guest: "web", action: { kind: "cancel" } } as const;
const logIn = (token: string): FromPage => ({ kind: "login", token });

const refused = (message: string): ToPage => ({ kind: "refused", message });
const NEEDED = refused("This dashboard needs its token first");
const WRONG = refused("The token is wrong");

const unpackr = new Unpackr({ useRecords: false });

/** A WebSocket whose client takes as much as it is said to. */
class FakeSocket extends EventEmitter {
  bufferedAmount = 0;
  readonly sent: ToPage[] = [];
  readonly send = (data: Uint8Array): void => void this.sent.push(unpackr.unpack(data) as ToPage);
  readonly close = vi.fn();
  readonly terminate = vi.fn();

  receive(message: FromPage): void {
    this.emit("message", encodeMessage(message), true);
  }

  get frames(): Frame[] {
    return this.sent.filter((message): message is Frame => message.kind === "frame");
  }
}

function sessionOf(
  guest: FakeGuest,
  known = true,
): {
  readonly session: PageSession;
  readonly socket: FakeSocket;
  readonly guests: Guests;
} {
  const guests = new Guests([() => Promise.resolve([guest])]);
  onTestFinished(() => guests.stop());
  const socket = new FakeSocket();
  const access = { kind: "token", token: new AccessToken(TOKEN) } as const;
  const limits = { ...DEFAULT_MONITOR_LIMITS, loginDelay: 1 };
  const session = new PageSession({
    socket: socket as unknown as ConstructorParameters<typeof PageSession>[0]["socket"],
    login: new Login({ access, limits, hasRoom: () => true, known }),
    guests,
    policy: { exec: false, hostFromNetwork: false },
    version: "1",
  });
  return { session, socket, guests };
}

test("a page that takes nothing is sent nothing, and then has everything in one frame", async () => {
  const guest = new FakeGuest();
  const { session, socket, guests } = sessionOf(guest);
  const leave = guests.addViewer(session);
  onTestFinished(leave);
  await vi.waitUntil(() => guests.get("web")?.view.link === "open");
  socket.bufferedAmount = MOST_WAITING + 1;
  for (const status of ["paused", "running", "paused"]) {
    guest.answer = observation({ status });
    guest.emit();
    await vi.waitUntil(() => guests.get("web")?.view.status === status);
    session.tick(1000);
  }
  expect(socket.sent).toEqual([]);
  socket.bufferedAmount = 0;
  session.tick(2000);
  expect(socket.frames).toHaveLength(1);
  expect(socket.frames[0]!.guests).toMatchObject([{ status: "paused" }]);
});

test("a page that has taken nothing for half a minute is dropped", () => {
  const { session, socket } = sessionOf(new FakeGuest());
  socket.bufferedAmount = MOST_WAITING + 1;
  session.tick(0);
  session.tick(30_000);
  expect(socket.terminate).not.toHaveBeenCalled();
  session.tick(30_001);
  expect(socket.terminate).toHaveBeenCalled();
});

test("when nothing changes there is one frame a second", async () => {
  const { session, socket, guests } = sessionOf(new FakeGuest());
  await vi.waitUntil(() => guests.get("web")?.view.settings != null);
  for (let now = 1000; now < 4000; now += 100) session.tick(now);
  expect(socket.frames.map(({ at }) => at)).toEqual([1000, 2000, 3000]);
});

test("the timeline goes on where the page has it", async () => {
  const guest = new FakeGuest();
  const { session, socket, guests } = sessionOf(guest);
  socket.receive(WATCH);
  expect(session.watched).toBe("web");
  const times: number[][] = [];
  for (const elapsed of [10, 20, 30]) {
    guest.answer = observation({}, { outgoing: { ...SAMPLE, elapsed } });
    guest.emit();
    await vi.waitUntil(() => guests.get("web")?.view.outgoing?.elapsed === elapsed);
    session.tick(elapsed);
    times.push(socket.frames.at(-1)!.watched!.points.map(([time]) => time));
  }
  expect(times).toEqual([[0.01], [0.02], [0.03]]);
});

describe("a page that is not known", () => {
  test("is let in by the token, and what it sends behind that is heard", async () => {
    const { session, socket } = sessionOf(new FakeGuest(), false);
    for (const message of [logIn(TOKEN), WATCH, logIn(TOKEN)]) socket.receive(message);
    await vi.waitUntil(() => socket.sent.length > 0);
    expect(socket.sent[0]).toEqual({ kind: "welcome", version: "1" });
    expect(session.watched).toBe("web");
    expect(socket.close).not.toHaveBeenCalled();
  });

  test("has a few tries, and whatever it sends is one", async () => {
    const guest = new FakeGuest();
    const { session, socket } = sessionOf(guest, false);
    for (const message of [WATCH, logIn("x"), ACT]) {
      const answered = socket.sent.length + 1;
      expect(socket.close).not.toHaveBeenCalled();
      socket.receive(message);
      await vi.waitUntil(() => socket.sent.length === answered);
    }
    expect(socket.sent).toEqual([NEEDED, WRONG, NEEDED]);
    expect(socket.close).toHaveBeenCalledExactlyOnceWith(1008, "too many tries");
    socket.receive(logIn(TOKEN));
    expect([session.login.isKnown, session.watched, guest.calls]).toEqual([false, null, []]);
  });

  test.each([
    ["another token", logIn(TOKEN)],
    ["what needs the token", WATCH],
  ])("awaits its answer: %s before that ends its connection", async (_, message) => {
    const { session, socket } = sessionOf(new FakeGuest(), false);
    socket.receive(logIn("x"));
    for (let count = 0; count < 1000; count++) socket.receive(message);
    expect(socket.close).toHaveBeenCalledExactlyOnceWith(1008, "one try at a time");
    await vi.waitUntil(() => socket.sent.length > 0);
    socket.receive(logIn(TOKEN));
    expect(session.login.isKnown).toBe(false);
    expect(socket.sent).toEqual([WRONG]);
  });

  test("is heard no more behind what is no message", () => {
    const { session, socket } = sessionOf(new FakeGuest(), false);
    socket.emit("message", Buffer.from("text"), false);
    expect(socket.close).toHaveBeenCalledExactlyOnceWith(1002, expect.any(String));
    socket.receive(logIn(TOKEN));
    expect(session.login.isKnown).toBe(false);
  });
});

test("a page that leaves its answers unread is dropped, and has nothing done any more", () => {
  const { session, socket } = sessionOf(new FakeGuest());
  socket.bufferedAmount = MOST_UNREAD;
  socket.receive(ACT);
  expect(socket.sent).toMatchObject([{ kind: "done", id: 1 }]);
  socket.bufferedAmount = MOST_UNREAD + 1;
  socket.receive(ACT);
  expect(socket.sent).toHaveLength(1);
  expect(socket.terminate).toHaveBeenCalledOnce();
  socket.receive(WATCH);
  expect(session.watched).toBeNull();
});
