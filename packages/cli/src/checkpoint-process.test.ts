import { readFile, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { Finished, TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

/** What it prints for the input `12`, `sum`, `quit 7`. */
const UNDISTURBED =
  "[1] sum=0> added 12, sum is 12\n[2] sum=12> sum is 12\n[3] sum=12> bye after 1 entries, sum 12\n";

const CONSOLE = ["run", guest("console"), "--name", "a"];

const state = (): string => `${peregrine.directory}/state`;

async function startConsole(): Promise<TestProcess> {
  const source = peregrine.start(...CONSOLE, "--state", state());
  source.write("12\n");
  await source.printed("stdout", /\[2\] sum=12> $/u);
  return source;
}

async function finish(process: TestProcess): Promise<string> {
  process.write("sum\nquit 7\n");
  const { status, stdout } = await process.finished();
  expect(status).toBe(7);
  return stdout;
}

test("a guest ends in a file, and goes on from there where it was, as often as one likes", async () => {
  const file = `${peregrine.directory}/guest`;
  const source = await startConsole();
  const checkpoint = await peregrine.run("checkpoint", "a", file);
  expect(checkpoint).toMatchObject({ status: 0, stderr: "" });
  expect(checkpoint.stdout).toMatch(/^moved in .*\n$/mu);
  const { status, stdout: before } = await source.finished();
  expect(status).toBe(0);
  // Here it would begin once more, beside the file.
  expect(await peregrine.run(...CONSOLE, "--state", state())).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(
      /GUEST_ELSEWHERE: The guest 'a' moved to file:.*\/guest on .*peregrine resolve a --as owner/u,
    ),
  });
  const bytes = await readFile(file);
  for (const name of ["b", "c"]) {
    const restored = peregrine.start("restore", file, "--name", name);
    expect(before + (await finish(restored))).toBe(UNDISTURBED);
  }
  expect(Buffer.compare(await readFile(file), bytes)).toBe(0);
});

test("a guest that is left running goes on here as well", async () => {
  const file = `${peregrine.directory}/guest`;
  const source = await startConsole();
  const checkpoint = await peregrine.run("checkpoint", "a", file, "--leave-running", "--json");
  expect(checkpoint).toMatchObject({ status: 0, stderr: "" });
  expect(JSON.parse(checkpoint.stdout.trimEnd().split("\n").at(-1)!)).toMatchObject({
    status: "completed",
    moved: false,
    summary: expect.stringMatching(/^copied in .*; the guest has stayed here$/u),
  });
  expect(await peregrine.report("a")).toMatchObject({ status: "running", owner: "owner", moved: false });
  const record = await readFile(`${state()}/a.owner.json`, "utf8");
  const { decisions } = JSON.parse(record) as {
    readonly decisions: readonly { readonly ownership: string }[];
  };
  expect(decisions.map(({ ownership }) => ownership)).toEqual(["owner"]);
  const before = source.stdout;
  const restored = peregrine.start("restore", file, "--name", "b", "-S");
  await expect
    .poll(() => peregrine.report("b").catch(() => ({})), { timeout: 10_000 })
    .toMatchObject({ status: "paused" });
  expect(await peregrine.run("cont", "b")).toMatchObject({ status: 0 });
  expect(before + (await finish(restored))).toBe(UNDISTURBED);
  expect(await finish(source)).toBe(UNDISTURBED);
});

test("a file that is there is not overwritten, and the guest runs on", async () => {
  const file = `${peregrine.directory}/guest`;
  await writeFile(file, "precious");
  const source = await startConsole();
  const { status, stderr } = await peregrine.run("checkpoint", "a", file);
  expect(status).toBe(1);
  expect(stderr).toMatch(/has contents already and is not overwritten/u);
  expect(await readFile(file, "utf8")).toBe("precious");
  expect(await finish(source)).toBe(UNDISTURBED);
});

test("what is no checkpoint, or not there, is refused in a sentence", async () => {
  const file = `${peregrine.directory}/guest`;
  expect(await peregrine.run("restore", file)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining(`LISTEN_FAILED: Could not open '${file}'`),
  });
  await writeFile(file, "not a stream");
  expect(await peregrine.run("restore", file)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("NOT_A_STREAM"),
  });
});

test("the figures of a migration can be read on both sides, also when its source is gone", async () => {
  expect(await peregrine.run("info", "a", "--completed")).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("NO_SUCH_GUEST"),
  });
  const source = await startConsole();
  expect(await peregrine.run("info", "a", "--completed")).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("No migration of 'a' has completed yet"),
  });
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  expect(await peregrine.run("migrate", "a", address)).toMatchObject({ status: 0 });
  await source.finished();
  const sent = await peregrine.run("info", "a", "--completed", "--json");
  // It arrives a moment after its source has been told so.
  const ask = (): Promise<Finished> => peregrine.run("info", "b", "--completed", "--json");
  await expect.poll(ask, { timeout: 10_000 }).toMatchObject({ status: 0 });
  const received = await ask();
  const there = JSON.parse(received.stdout) as { received: { bytes: number } };
  expect(there).toMatchObject({ name: "b", sent: null });
  const here = JSON.parse(sent.stdout) as { sent: { downtimeParts: Record<string, number> } };
  expect(here).toMatchObject({
    name: "a",
    sent: { to: address, status: "completed", ram: { transferred: there.received.bytes } },
    received: null,
  });
  const { total, ...parts } = here.sent.downtimeParts;
  expect(Object.values(parts).reduce((sum, part) => sum + part, 0)).toBeCloseTo(total!, 6);
  const text = await peregrine.run("info", "a", "--completed");
  expect(text.stdout).toMatch(/^sent +to tcp:\S+: moved in .*\n {2}setup .*\n/mu);
  expect((await peregrine.run("info", "b", "--completed")).stdout).toMatch(
    /^received +.* in .*\n {2}pages .*\n {2}downtime .* to start \d+\.\d ms, of which \d+\.\d ms after the answer/mu,
  );
  await finish(destination);
});
