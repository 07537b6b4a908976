import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

type Entry = Readonly<Record<string, unknown>>;

function entriesOf(stderr: string): Entry[] {
  return stderr
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Entry);
}

test("as JSON all of it is JSON: messages, and each change of state at both ends with guest and migration", async () => {
  const json = ["--log-format", "json"];
  const destination = peregrine.start("receive", "tcp:127.0.0.1:0", "--name", "b", ...json);
  const [, address] = await destination.printed("stderr", /is awaited on (tcp:[^"]+)"/u);
  const source = peregrine.start("run", guest("console"), "--name", "a", ...json, "--log-level", "debug");
  source.write("12\n");
  await source.printed("stdout", /\[2\]/u);
  expect(await peregrine.run("migrate", "a", address!)).toMatchObject({ status: 0 });
  const { stderr: left } = await source.finished();
  destination.write("quit 0\n");
  const { stderr: came } = await destination.finished();

  const sent = entriesOf(left);
  const about = { guest: "a", direction: "outgoing", migration: 1 };
  for (const status of ["setup", "active", "completed"]) {
    expect(sent).toContainEqual(
      expect.objectContaining({ msg: "migration", level: "info", ...about, status }),
    );
  }
  expect(sent).toContainEqual(
    expect.objectContaining({ msg: "run state", from: "prelaunch", to: "running" }),
  );
  expect(sent).toContainEqual(expect.objectContaining({ msg: "ownership", guest: "a", to: "not-owner" }));
  expect(sent).toContainEqual(
    expect.objectContaining({ msg: "pass", level: "debug", migration: 1, pass: 1 }),
  );
  expect(sent).toContainEqual(
    expect.objectContaining({ msg: "capabilities", level: "debug", guest: "a", xbzrle: false }),
  );
  expect(sent).toContainEqual(expect.objectContaining({ msg: `The guest has moved to ${address}` }));

  const received = entriesOf(came);
  expect(received).toContainEqual(
    expect.objectContaining({ msg: "migration", guest: "b", direction: "incoming", status: "completed" }),
  );
  expect(received).toContainEqual(
    expect.objectContaining({ msg: "ownership", from: "not-owner", to: "owner" }),
  );
  expect(received.some(({ level }) => level === "debug")).toBe(false);
});

/** A relay to `b`, the address where it waits, and a guest `a` to be sent to it. */
async function relayOf(): Promise<readonly [relay: TestProcess, address: string, source: TestProcess]> {
  const [, last] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  const relay = peregrine.start("relay", "tcp:127.0.0.1:0", last, "--name", "r", "--log-format", "json");
  const [, first] = await relay.printed("stderr", /is awaited on (tcp:[^"]+)"/u);
  const source = peregrine.start("run", guest("torture"), "--name", "a", "--", "--mib", "4", "--sweeps", "0");
  await source.printed("stdout", /sweep 1\n/u);
  return [relay, first!, source];
}

/** The entries about the migrations in one direction. */
function migrationsOf(entries: readonly Entry[], direction: "incoming" | "outgoing"): readonly Entry[] {
  return entries.filter((entry) => entry["msg"] === "migration" && entry["direction"] === direction);
}

test("a relay logs how its guest arrives beside how it is sent", async () => {
  const [relay, address] = await relayOf();
  expect(await peregrine.run("migrate", "a", address)).toMatchObject({ status: 0 });
  const entries = entriesOf((await relay.finished()).stderr);
  const done = [
    { level: "info", status: "setup" },
    { level: "info", status: "active" },
    { level: "info", status: "completed" },
  ];
  expect(migrationsOf(entries, "incoming")).toMatchObject(done);
  expect(migrationsOf(entries, "outgoing")).toMatchObject(done.map((entry) => ({ ...entry, migration: 1 })));
});

test("what arrives at a relay fails with its code when the source dies, and what is sent is cancelled", async () => {
  const [relay, address, source] = await relayOf();
  peregrine.start("migrate", "a", address, "--bandwidth", "1M");
  await relay.printed("stderr", /"direction":"outgoing","migration":1,"status":"active"/u);
  source.signal("SIGKILL");
  const entries = entriesOf((await relay.finished()).stderr);
  expect(migrationsOf(entries, "incoming")).toMatchObject([
    { level: "info", status: "setup" },
    { level: "info", status: "active" },
    { level: "warn", status: "failed", code: expect.stringMatching(/^(?:CHANNEL_|TRUNCATED$)/u) },
  ]);
  expect(migrationsOf(entries, "outgoing")).toMatchObject([
    { level: "info", status: "setup" },
    { level: "info", status: "active" },
    { level: "info", status: "cancelling" },
    { level: "info", status: "cancelled" },
  ]);
});

test("auto is JSON where nobody looks, also for why the agent ends", async () => {
  const failed = await peregrine.run("receive", "tcp:203.0.113.1:1", "--name", "b", "--log-format", "auto");
  expect(failed.status).toBe(1);
  expect(entriesOf(failed.stderr)).toContainEqual(
    expect.objectContaining({ level: "error", code: "LISTEN_FAILED", msg: expect.any(String) }),
  );
});

test("as text messages stay as they are, and the log is what was asked for", async () => {
  const quiet = peregrine.start("run", guest("console"), "--name", "a");
  quiet.write("quit 0\n");
  expect(await quiet.finished()).toMatchObject({ status: 0, stderr: "" });
  const told = peregrine.start("run", guest("console"), "--name", "a", "--log-level", "info");
  told.write("quit 0\n");
  expect((await told.finished()).stderr).toMatch(/^(?:peregrine: [\d:.]+ info: [^\n]*guest=a[^\n]*\n)+$/u);
});
