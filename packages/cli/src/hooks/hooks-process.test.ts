import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { guest, usePeregrine } from "../testing/peregrine-process.ts";

const peregrine = usePeregrine();

function hooks(): { readonly log: () => string; readonly flags: string[] } {
  const path = join(peregrine.directory, "log");
  const command = `echo "$PEREGRINE_GUEST $PEREGRINE_HOOK $PEREGRINE_REASON" >> ${path}`;
  return {
    log: () => (existsSync(path) ? readFileSync(path, "utf8") : ""),
    flags: ["--on-arrival", command, "--on-departure", command],
  };
}

test("hooks run where the guest starts, leaves, arrives and ends", async () => {
  const { log, flags } = hooks();
  const source = peregrine.start("run", guest("console"), "--name", "a", ...flags);
  await source.printed("stdout", /> $/u);
  const [destination, uri] = await peregrine.receive("tcp:127.0.0.1:0", "b", ...flags);
  // Nothing has arrived.
  while (log() === "") await delay(5);
  expect(log()).toBe("a arrival started\n");
  expect(await peregrine.run("migrate", "a", uri)).toMatchObject({ status: 0 });
  expect(await source.finished()).toMatchObject({ status: 0 });
  while (!log().includes("b arrival arrived\n")) await delay(5);
  const report = await peregrine.report("b");
  expect(report["hooks"]).toMatchObject([{ hook: "arrival", reason: "arrived" }]);
  expect((await peregrine.run("info", "b")).stdout).toMatch(/^on arrival +(?:done|running) \(arrived\)$/mu);
  destination.write("quit 5\n");
  expect(await destination.finished()).toMatchObject({ status: 5 });
  expect(log().split("\n").sort()).toEqual([
    "",
    "a arrival started",
    "a departure moved",
    "b arrival arrived",
    "b departure ended",
  ]);
});

test("a failed migration runs nothing, and a hook that fails does not hinder the guest", async () => {
  const { log, flags } = hooks();
  const source = peregrine.start(
    "run",
    guest("console"),
    "--name",
    "a",
    "--on-arrival",
    "exit 9",
    ...flags.slice(2),
  );
  await source.printed("stdout", /> $/u);
  await source.printed(
    "stderr",
    /^peregrine: HOOK_FAILED: The command of --on-arrival ended with status 9: exit 9\n/u,
  );
  const [destination, uri] = await peregrine.receive("tcp:127.0.0.1:0", "b", "--max-ram", "1", ...flags);
  expect(await peregrine.run("migrate", "a", uri)).toMatchObject({ status: 1 });
  expect(await destination.finished()).toMatchObject({ status: 1 });
  source.write("4\n");
  await source.printed("stdout", /added 4/u);
  expect(log()).toBe("");
  expect(await peregrine.run("quit", "a")).toMatchObject({ status: 0 });
  expect(await source.finished()).toMatchObject({ status: 0 });
  expect(log()).toBe("a departure ended\n");
});
