import { describe, expect, test } from "vitest";
import { observation, SAMPLE } from "../test/fake-guest.ts";
import { passViews, unknownGuest, viewOf } from "./guest-view.ts";
import { parseObservation, parseSettings } from "./observation.ts";

const look = (info: Record<string, unknown>, rest: Record<string, unknown> = {}) =>
  viewOf(unknownGuest("web", "this host"), parseObservation(observation(info, rest)));

describe("the view of a guest", () => {
  test.each([
    [{ type: "inet", host: "0.0.0.0", port: "4444" }, "tcp:127.0.0.1:4444"],
    [{ type: "inet", host: "::", port: "4444" }, "tcp:[::1]:4444"],
    [{ type: "inet", host: "10.0.0.2", port: "4444" }, "tcp:10.0.0.2:4444"],
    [{ type: "unix", path: "/run/x" }, "unix:/run/x"],
  ])("has where it is awaited: %o", (socket, uri) => {
    const incoming = { status: "setup", "socket-address": [socket] };
    expect(look({ role: "destination" }, { incoming }).listensOn).toBe(uri);
  });

  test("offers no address where somebody has connected already", () => {
    const incoming = { status: "active", "socket-address": [{ type: "inet", host: "h", port: "1" }] };
    expect(look({}, { incoming })).toMatchObject({ listensOn: null, incoming: "active" });
  });

  test("tells why a migration failed", () => {
    const error = { code: "CONNECT_FAILED", message: "Failed to connect" };
    expect(look({ error }).error).toBe("Failed to connect");
  });

  test("of an agent that answers something else is not made", () => {
    expect(() => parseObservation({ ...observation(), passes: "none" })).toThrow(
      expect.objectContaining({
        code: "COMMAND_FAILED",
        message: "The agent is of another release: passes is not understood",
      }),
    );
    expect(() => parseObservation(observation({}, { outgoing: { ...SAMPLE, remaining: "much" } }))).toThrow(
      /outgoing\.remaining/u,
    );
    expect(() => parseSettings({}, [])).toThrow(/of another release/u);
  });
});

describe("passes", () => {
  const record = (pass: number) => ({
    pass,
    total: 1000 * pass,
    start: 100 * pass,
    dirtyRate: pass === 1 ? 0 : 5,
    transferredBefore: 10 * pass * pass,
  });

  test("end where the next one begins, the last one now", () => {
    const outgoing = { elapsed: 350, transferred: 100, state: "active" } as const;
    expect(passViews([1, 2, 3].map(record), outgoing)).toEqual([
      { pass: 1, total: 1000, start: 100, time: 100, sent: 30, dirtyRate: null, isPresent: false },
      { pass: 2, total: 2000, start: 200, time: 100, sent: 50, dirtyRate: 5, isPresent: false },
      { pass: 3, total: 3000, start: 300, time: 50, sent: 10, dirtyRate: 5, isPresent: true },
    ]);
    expect(passViews([record(1)], { ...outgoing, state: "completed" })[0]).toMatchObject({
      isPresent: false,
    });
  });

  test("of a long migration are the first and the last ones", () => {
    const many = Array.from({ length: 60 }, (_, n) => record(n + 1));
    const shown = passViews(many, { elapsed: 1e6, transferred: 1e6, state: "active" });
    expect(shown.map(({ pass }) => pass)).toEqual([1, ...Array.from({ length: 31 }, (_, n) => n + 30)]);
  });
});
