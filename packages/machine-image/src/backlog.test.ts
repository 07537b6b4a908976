import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Backlog } from "./backlog.ts";

function backlogOf(pages: number, limit: number): Backlog {
  const backlog = new Backlog(Backlog.newBuffer());
  backlog.add(pages);
  backlog.setLimit(limit);
  return backlog;
}

/** Whether the promise is settled, after all has run that was due. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  void promise.then(() => (settled = true));
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  return settled;
}

describe("the backlog", () => {
  it("counts pages from their mark until they are sent", () => {
    const backlog = backlogOf(10, 0);
    backlog.add(3);
    backlog.takeBack(2);
    expect(backlog.pages).toBe(11);
    backlog.harvested(11, 8);
    expect(backlog.pages).toBe(8);
    backlog.sent(5);
    expect(backlog.pages).toBe(3);
    backlog.add(4);
    backlog.forgetHarvested();
    expect(backlog.pages).toBe(4);
  });

  it("is one for all who open it", () => {
    const buffer = Backlog.newBuffer();
    new Backlog(buffer).add(7);
    expect(new Backlog(buffer).pages).toBe(7);
  });

  it("has room up to its limit, and always without one", () => {
    expect(backlogOf(8, 8).room()).toBeUndefined();
    expect(backlogOf(9, 8).room()).toBeInstanceOf(Promise);
    expect(backlogOf(2 ** 30, 0).room()).toBeUndefined();
  });

  it("has room again when three quarters of the limit are left", async () => {
    const backlog = backlogOf(12, 8);
    const room = backlog.room()!;
    backlog.harvested(12, 12);
    backlog.sent(5);
    expect(await isSettled(room)).toBe(false);
    backlog.sent(1);
    await room;
  });

  it("has room again when pages turn out to be counted twice, or will not be sent", async () => {
    const twice = backlogOf(12, 8);
    const takenBack = twice.room()!;
    twice.takeBack(6);
    await takenBack;

    const harvested = backlogOf(12, 8);
    const merged = harvested.room()!;
    harvested.harvested(12, 6);
    await merged;

    const given = backlogOf(12, 8);
    given.harvested(12, 12);
    const forgotten = given.room()!;
    given.forgetHarvested();
    await forgotten;
  });

  it("has room at once when its limit is raised or lifted, and not when it is lowered", async () => {
    for (const limit of [16, 0]) {
      const backlog = backlogOf(12, 8);
      const room = backlog.room()!;
      backlog.setLimit(4);
      expect(await isSettled(room)).toBe(false);
      backlog.setLimit(limit);
      await room;
    }
  });

  it("lets all go on who wait", async () => {
    const backlog = backlogOf(12, 8);
    const waiting = [backlog.room()!, backlog.room()!, backlog.room()!];
    backlog.takeBack(12);
    await Promise.all(waiting);
  });

  it("has a limit of one page", async () => {
    const backlog = backlogOf(2, 1);
    const room = backlog.room()!;
    backlog.takeBack(1);
    expect(await isSettled(room)).toBe(false);
    backlog.takeBack(1);
    await room;
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 31])("refuses %d as a limit", (pages) => {
    expect(() => backlogOf(0, pages)).toThrow(expect.objectContaining({ code: "BAD_PARAMETER" }));
  });
});
