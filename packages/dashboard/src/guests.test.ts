import { expect, onTestFinished, test } from "vitest";
import { FakeGuest, observation } from "../test/fake-guest.ts";
import { Guests } from "./guests.ts";

test("so many guests are shown, and of those that have ended only the last", async () => {
  const all = Array.from({ length: 70 }, (_, index) => new FakeGuest(`guest${index}`));
  const guests = new Guests([() => Promise.resolve(all.filter(({ isGone }) => !isGone))]);
  onTestFinished(() => guests.stop());
  guests.addViewer({ watched: null });
  const ids = (link: string): string[] =>
    guests.all.filter(({ view }) => view.link === link).map(({ id }) => id);

  await expect.poll(() => ids("open").length, { timeout: 10_000 }).toBe(64);
  expect(ids("open")).not.toContain("guest64");

  for (const guest of all.slice(0, 10)) {
    guest.isGone = true;
    guest.emit();
  }
  await expect.poll(() => ids("ended").length, { timeout: 10_000 }).toBe(8);
  // Their places are taken by those that there was no room for.
  await expect.poll(() => ids("open").length, { timeout: 10_000 }).toBe(60);
  expect(ids("open")).toContain("guest69");
});

test("a guest that is arriving when it is seen first belongs to the one that is sent there", async () => {
  const source = new FakeGuest("web");
  const destination = new FakeGuest("web-2");
  source.answer = observation({ target: "unix:/run/web-2" });
  destination.answer = observation(
    { role: "destination", status: "inmigrate" },
    { incoming: { status: "active", "socket-address": [{ type: "unix", path: "/run/web-2" }] } },
  );
  const guests = new Guests([() => Promise.resolve([source, destination])]);
  onTestFinished(() => guests.stop());

  await expect.poll(() => guests.all.every(({ view }) => view.link === "open")).toBe(true);
  guests.pair();
  expect(guests.all.map(({ view }) => view.peer)).toEqual(["web-2", "web"]);
});
