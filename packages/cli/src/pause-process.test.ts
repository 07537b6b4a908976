import { join } from "node:path";
import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

test("a migration waits for its destination, pauses before the switchover, and goes on when the monitor's client says so", async () => {
  const path = join(peregrine.directory, "in");
  const [destination, uri] = await peregrine.receive(`unix:${path}`, "b");
  const source = peregrine.start("run", guest("torture"), "--name", "a", "--", "--mib", "1", "--sweeps", "0");
  await source.printed("stdout", /sweep 1\n/u);
  const [here, there] = await Promise.all([peregrine.connect("a"), peregrine.connect("b")]);
  const listening = { "socket-address": [{ type: "unix", path }] };
  expect(await there.execute("query-migrate")).toEqual({ status: "setup", ...listening });

  const paused = Promise.withResolvers<void>();
  const completed = Promise.withResolvers<void>();
  here.events.subscribe(({ event, data }) => {
    if (event !== "MIGRATION") return;
    if (data?.["status"] === "pre-switchover") paused.resolve();
    if (data?.["status"] === "completed") completed.resolve();
  });
  await here.execute("migrate-set-capabilities", {
    // The destination is told of the last one, and acknowledges.
    capabilities: ["events", "pause-before-switchover", "switchover-ack"].map((capability) => ({
      capability,
      state: true,
    })),
  });
  await here.execute("migrate", { uri });
  await paused.promise;
  expect(await here.execute("query-status")).toEqual({ status: "finish-migrate", running: false });
  expect(await there.execute("query-migrate")).toEqual({
    status: "active",
    ...listening,
    "x-peregrine-progress": expect.objectContaining({ direction: "incoming", state: "active" }),
  });
  expect((await peregrine.run("info", "a")).stdout).toMatch(/migration +stopped before the switchover/u);
  await expect(here.execute("migrate-continue", { state: "device" })).rejects.toThrow(
    "Migration not in expected state: pre-switchover",
  );

  await here.execute("migrate-continue", { state: "pre-switchover" });
  await completed.promise;
  await destination.printed("stdout", /sweep \d+\n/u);
  await expect
    .poll(() => there.execute("query-migrate"), { timeout: 10_000 })
    .toEqual({ status: "completed" });
});
