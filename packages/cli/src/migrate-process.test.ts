import type { QmpClient, ReceivedEvent } from "@peregrine/monitor";
import { expect, test, vi } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

/** Waits for input: it is where the test wants it, however fast the host is. */
const CONSOLE = ["run", guest("console"), "--name", "a"];
const PROMPT = /\[2\] sum=12> $/u;
/** What it prints for the input `12`, `sum`, `quit 7`. */
const UNDISTURBED =
  "[1] sum=0> added 12, sum is 12\n[2] sum=12> sum is 12\n[3] sum=12> bye after 1 entries, sum 12\n";

/** Starts a guest that has had its first line of input. */
async function startConsole(...options: readonly string[]): Promise<TestProcess> {
  const source = peregrine.start(...CONSOLE, ...options);
  source.write("12\n");
  await source.printed("stdout", PROMPT);
  return source;
}

/** Gives the guest the rest of its input, and checks that nothing was lost on its way. */
async function finishAt(last: TestProcess, ...before: readonly TestProcess[]): Promise<void> {
  last.write("sum\nquit 7\n");
  const { status, stdout } = await last.finished();
  expect(before.map((process) => process.stdout).join("") + stdout).toBe(UNDISTURBED);
  expect(status).toBe(7);
}

test.each(["tcp:127.0.0.1:0", "unix"])("a guest moves over %s, and goes on where it was", async (uri) => {
  const [destination, address] = await peregrine.receive(
    uri === "unix" ? `unix:${peregrine.directory}/b` : uri,
    "b",
  );
  const source = await startConsole();
  const migrate = await peregrine.run("migrate", "a", address);
  expect(migrate).toMatchObject({ status: 0, stderr: "" });
  expect(migrate.stdout).toMatch(/^moved in .*, downtime \d+ ms \(stop .*\)\n$/mu);
  expect(await source.finished()).toMatchObject({
    status: 0,
    stderr: `peregrine: The guest has moved to ${address}\n`,
  });
  await finishAt(destination, source);
});

test("a guest moves there and back; JSON tells how", async () => {
  const [there, first] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  const source = await startConsole();
  const migrate = await peregrine.run("migrate", "a", first, "--json");
  const lines = migrate.stdout.trimEnd().split("\n");
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({
    status: "completed",
    downtime: expect.any(Number),
    downtimeParts: { total: expect.any(Number) },
  });
  expect((await source.finished()).status).toBe(0);
  const [back, second] = await peregrine.receive("tcp:127.0.0.1:0", "a");
  expect(await peregrine.run("migrate", "b", second)).toMatchObject({ status: 0 });
  expect((await there.finished()).status).toBe(0);
  await finishAt(back, source, there);
});

test("the agent stays until each client that follows the migration was told how it ended", async () => {
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  const source = await startConsole();
  const [starter, follower, other] = await Promise.all(
    ["a", "a", "a"].map((name) => peregrine.connect(name)),
  );
  const status = async (client: QmpClient | undefined): Promise<unknown> =>
    ((await client!.execute("query-migrate")) as { status?: string }).status;
  await starter!.execute("migrate-set-parameters", { "max-bandwidth": 1 });
  await starter!.execute("migrate", { uri: address });
  await vi.waitFor(async () => expect(await status(follower)).toBe("active"), 10_000);
  await other!.execute("migrate-set-parameters", { "max-bandwidth": 0 });
  await vi.waitFor(async () => expect(await status(other)).toBe("completed"), 10_000);
  await finishAt(destination, source);
  // An agent that ends does not answer so often.
  for (let time = 0; time < 20; time++) expect(await status(other)).toBe("completed");
  expect(await status(follower)).toBe("completed");
  expect(await status(starter)).toBe("completed");
  expect(await source.finished()).toMatchObject({ status: 0 });
});

test("clients of both monitors get the events", async () => {
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  const source = await startConsole("--keep");
  const [from, to] = await Promise.all(["a", "b"].map((name) => peregrine.connect(name)));
  await from!.execute("migrate-set-capabilities", { capabilities: [{ capability: "events", state: true }] });
  const events: Record<"from" | "to", string[]> = { from: [], to: [] };
  const name = ({ event, data }: ReceivedEvent): string => [event, ...Object.values(data ?? {})].join(" ");
  from!.events.subscribe((event) => events.from.push(name(event)));
  to!.events.subscribe((event) => events.to.push(name(event)));
  expect(await peregrine.run("migrate", "a", address)).toMatchObject({ status: 0 });
  await finishAt(destination, source);
  await Promise.all([to!.closed, from!.close()]);
  const passes = events.from.filter((event) => event.startsWith("MIGRATION_PASS"));
  expect(passes).toEqual(passes.map((_, index) => `MIGRATION_PASS ${index + 1}`));
  expect(passes).not.toEqual([]);
  expect(events.from.filter((event) => !passes.includes(event))).toEqual([
    "MIGRATION setup",
    "MIGRATION active",
    "STOP",
    "MIGRATION completed",
  ]);
  // It has no interface, so it is not announced.
  expect(events.to).toEqual(["RESUME", "SHUTDOWN true guest-shutdown"]);
});

test("-S leaves the guest paused at the destination, --keep the agent at the source", async () => {
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b", "-S");
  const source = await startConsole("--keep");
  expect(await peregrine.run("migrate", "a", address)).toMatchObject({ status: 0 });
  // It arrives a moment after its source has been told so.
  await expect
    .poll(() => peregrine.report("b"), { timeout: 10_000 })
    .toMatchObject({
      status: "paused",
      role: "destination",
      owner: "owner",
    });
  expect(await peregrine.report("a")).toMatchObject({ status: "postmigrate", owner: "not-owner" });
  expect(await peregrine.run("cont", "a")).toMatchObject({ status: 1 });
  expect(await peregrine.run("cont", "b")).toMatchObject({ status: 0 });
  await finishAt(destination, source);
});

test("a dead port is told, and the guest runs on", async () => {
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  await destination.kill();
  const source = await startConsole();
  const { status, stdout, stderr } = await peregrine.run("migrate", "a", address);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(/^peregrine: CONNECT_FAILED: [^\n]+\n$/u);
  await finishAt(source);
});
