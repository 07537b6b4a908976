import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { MigrationError } from "@peregrine/protocol";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { TemporaryDirectory } from "../testing/temporary-directory.ts";
import { GuestHooks } from "./guest-hooks.ts";
import type { HookOptions } from "./guest-hooks.ts";

/** From the end of its time to SIGKILL. Milliseconds. */
const GRACE_MS = 2000;

let directory: TemporaryDirectory;
const errors: MigrationError[] = [];
beforeEach(() => {
  directory = new TemporaryDirectory();
  errors.splice(0);
});
afterEach(() => directory[Symbol.dispose]());

function hooks(options: Partial<HookOptions>): GuestHooks {
  const failed = (error: MigrationError): void => void errors.push(error);
  return new GuestHooks({
    name: "web",
    arrival: undefined,
    departure: undefined,
    limit: 60_000,
    failed,
    ...options,
  });
}

/** A command that adds a line to a file. */
function logging(): { readonly log: string; readonly command: string } {
  const log = join(directory.path, "log");
  return { log, command: `echo "$PEREGRINE_HOOK $PEREGRINE_GUEST $PEREGRINE_REASON" >> ${log}` };
}

test("each runs once, with what it needs to know, one after the other", async () => {
  const { log, command } = logging();
  const gate = join(directory.path, "gate");
  const waiting = `while ! test -e ${gate}; do sleep 0.01; done; ${command}`;
  const both = hooks({ arrival: waiting, departure: command });
  both.left("ended");
  expect(both.report()).toEqual([]);
  both.here("arrived");
  both.here("started");
  both.left("moved");
  both.left("ended");
  while (both.report()[0]!.state !== "running") await delay(1);
  expect(both.report().map(({ state }) => state)).toEqual(["running", "waiting"]);
  writeFileSync(gate, "");
  await both.settled();
  expect(readFileSync(log, "utf8")).toBe("arrival web arrived\ndeparture web moved\n");
  expect(both.report()).toEqual([
    { hook: "arrival", reason: "arrived", state: "done", failure: null },
    { hook: "departure", reason: "moved", state: "done", failure: null },
  ]);
  expect(errors).toEqual([]);
});

test("without commands nothing is run", async () => {
  const none = hooks({});
  none.here("started");
  none.left("ended");
  await none.settled();
  expect(none.report()).toEqual([]);
});

test.each([
  ["exit 3", "ended with status 3"],
  ["kill -KILL $$", "was ended by SIGKILL (9)"],
  ["/no/such/command", "ended with status 127"],
])("%s: what went wrong is told, and the next one runs", async (command, failure) => {
  const { log, command: departure } = logging();
  const failing = hooks({ arrival: command, departure });
  failing.here("started");
  failing.left("ended");
  await failing.settled();
  expect(errors.map(({ code, message }) => [code, message])).toEqual([
    ["HOOK_FAILED", `The command of --on-arrival ${failure}: ${command}`],
  ]);
  expect(failing.report()[0]).toEqual({ hook: "arrival", reason: "started", state: "failed", failure });
  expect(existsSync(log)).toBe(true);
});

test("one that takes too long is ended with what it started, also against its will", async () => {
  const pid = join(directory.path, "pid");
  const stubborn = `trap "" TERM; sh -c 'echo $$ > ${pid}; sleep 600' & sleep 600; sleep 600`;
  // Its time is over when it has come that far, and not by the clock.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const late = hooks({ arrival: stubborn, limit: 1000 });
  late.here("started");
  while (!existsSync(pid) || readFileSync(pid, "utf8") === "") await delay(5);
  vi.advanceTimersByTime(1000 + GRACE_MS);
  await late.settled();
  expect(late.report()[0]).toMatchObject({ state: "failed", failure: "took longer than 1 s and was ended" });
  const grandchild = Number(readFileSync(pid, "utf8"));
  // It is gone, or nobody has asked for its status yet.
  while (isAlive(grandchild)) await delay(5);
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/mu.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
