import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Source } from "./testing/source.ts";

const MiB = 1 << 20;

let folder: string;
let uri: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "peregrine-"));
  uri = `file:${join(folder, "guest")}`;
});

afterEach(() => rm(folder, { recursive: true }));

describe("a copy", () => {
  test("lets the guest go on here, and belongs to nobody", async () => {
    await using source = await Source.make({ dirtyRate: 20 * MiB });
    source.migration.migrate(uri, { copy: true });
    expect(await source.ended()).toBe("completed");
    expect(source.run.state).toBe("running");
    expect([source.migration.ownership, source.migration.confirmed]).toEqual(["owner", false]);
    await source.progress();
    await source.expectUntouched();
    expect(await readdir(folder)).toEqual(["guest"]);
    await source.expectMigrates();
  });

  test("of a guest that was paused leaves it paused", async () => {
    await using source = await Source.make();
    await source.run.stop("paused");
    source.migration.migrate(uri, { copy: true });
    expect(await source.ended()).toBe("completed");
    expect(source.run.state).toBe("paused");
  });

  test("goes into a file and nowhere else", async () => {
    await using source = await Source.make();
    expect(() => source.migration.migrate("unix:/x", { copy: true })).toThrow(
      expect.objectContaining({ code: "BAD_PARAMETER", message: expect.stringContaining("file:PATH") }),
    );
    expect(source.migration.status).toBe("failed");
    expect(source.run.state).toBe("running");
    await source.expectMigrates();
  });
});

test.each([
  [true, "running", "paused"],
  [false, "running", "running"],
  [true, "paused", "paused"],
  [true, "prelaunch", "prelaunch"],
] as const)("asked for a paused arrival: %s, a guest that is %s arrives %s", async (paused, here, there) => {
  await using source = await Source.make({ running: here !== "prelaunch" });
  if (here === "paused") await source.run.stop("paused");
  await using receiver = await source.receiver();
  source.migration.migrate(receiver.uri, { paused });
  expect(await source.ended()).toBe("completed");
  expect(receiver.runState).toBe(there);
});

test("the next migration asks for itself", async () => {
  await using source = await Source.make();
  source.migration.migrate("unix:/no/such/socket", { paused: true });
  expect(await source.ended()).toBe("failed");
  await using receiver = await source.receiver();
  source.migration.migrate(receiver.uri);
  expect(await source.ended()).toBe("completed");
  expect(receiver.runState).toBe("running");
});

test("a guest that dirties faster than it is sent moves when it is told to", async () => {
  await using source = await Source.make({ dirtyRate: 200 * MiB });
  await using receiver = await source.receiver();
  source.migration.setSpeed(4 * MiB);
  source.migration.setDowntime(0);
  source.migration.migrate(receiver.uri);
  await source.reaches("active");
  await source.progress();
  expect(source.migration.status).toBe("active");
  source.migration.switchOverNow();
  expect(await source.ended()).toBe("completed");
  source.expectSame(receiver);
});
