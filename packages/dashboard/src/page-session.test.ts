import { AccessToken, DEFAULT_MONITOR_LIMITS, Login } from "@peregrine/monitor";
import { EventEmitter } from "node:events";
import { Unpackr } from "msgpackr/unpack";
import { expect, onTestFinished, test, vi } from "vitest";
import { FakeGuest, observation, SAMPLE } from "../test/fake-guest.ts";
import { Guests } from "./guests.ts";
import type { Frame, ToPage } from "./messages.ts";
import { MOST_WAITING, PageSession } from "./page-session.ts";

const unpackr = new Unpackr({ useRecords: false });

/** A WebSocket whose client takes as much as it is said to. */
class FakeSocket extends EventEmitter {
  bufferedAmount = 0;
  readonly sent: ToPage[] = [];
  readonly send = (data: Uint8Array): void => void this.sent.push(unpackr.unpack(data) as ToPage);
  readonly close = vi.fn();
  readonly terminate = vi.fn();

  get frames(): Frame[] {
    return this.sent.filter((message): message is Frame => message.kind === "frame");
  }
}

function sessionOf(guest: FakeGuest): {
  readonly session: PageSession;
  readonly socket: FakeSocket;
  readonly guests: Guests;
} {
  const guests = new Guests([() => Promise.resolve([guest])]);
  onTestFinished(() => guests.stop());
  const socket = new FakeSocket();
  const access = { kind: "token", token: new AccessToken("unused") } as const;
  const session = new PageSession({
    socket: socket as unknown as ConstructorParameters<typeof PageSession>[0]["socket"],
    login: new Login({ access, limits: DEFAULT_MONITOR_LIMITS, hasRoom: () => true, known: true }),
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
  socket.emit(
    "message",
    Buffer.from([
      0x82,
      0xa4,
      ...Buffer.from("kind"),
      0xa5,
      ...Buffer.from("watch"),
      0xa5,
      ...Buffer.from("guest"),
      0xa3,
      ...Buffer.from("web"),
    ]),
    true,
  );
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
