import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

const ENDLESS = ["--", "--mib", "8", "--rate", "64", "--sweeps", "0"];

/** A guest that a relay sends on, slower than it dirties its memory. */
async function relaying(
  ...options: readonly string[]
): Promise<Record<"source" | "relay" | "destination", TestProcess>> {
  const [destination, last] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  const slowly = ["--bandwidth", "1M", "--downtime", "1"];
  const relay = peregrine.start("relay", "tcp:127.0.0.1:0", last, "--name", "r", ...slowly, ...options);
  const [, first] = await relay.printed("stderr", /is awaited on (\S+)/u);
  const source = peregrine.start("run", guest("torture"), "--name", "a", ...ENDLESS);
  await source.printed("stdout", /sweep 1\n/u);
  const client = await peregrine.connect("a");
  await client.execute("migrate", { uri: first });
  await client.close();
  await relay.printed("stdout", /\n/u);
  return { source, relay, destination };
}

async function expectStaysAtSource(source: TestProcess): Promise<void> {
  await expect
    .poll(() => peregrine.report("a"), { timeout: 20_000 })
    .toMatchObject({
      status: "running",
      owner: "owner",
      migration: { status: "failed" },
    });
  const printed = source.stdout.length;
  await source.printed("stdout", new RegExp(`^[^]{${printed}}[^]*sweep \\d+\n`, "u"));
}

/** Its lines that are no progress, behind the one that says where it waits. */
function told({ stderr }: { readonly stderr: string }): string[] {
  return stderr.trimEnd().split("\n").slice(1);
}

test("a relay that is interrupted says once that the guest stays at its source", async () => {
  const { source, relay } = await relaying();
  relay.signal("SIGINT");
  const ended = await relay.finished();
  expect(ended.status).toBe(130);
  expect(told(ended)).toEqual([
    "peregrine: CANCELLED: The migration was cancelled; the guest stays at its source",
  ]);
  await expectStaysAtSource(source);
});

test("one whose destination dies says once why, and that is its outcome", async () => {
  const { source, relay, destination } = await relaying("--json");
  await destination.kill();
  const ended = await relay.finished();
  expect(ended.status).toBe(1);
  const [error, load, ...more] = told(ended);
  expect(more).toEqual([]);
  const { code, message, status } = JSON.parse(ended.stdout.trimEnd().split("\n").at(-1)!) as Record<
    string,
    string
  >;
  expect([error, load]).toEqual([
    `peregrine: ${code}: ${message}`,
    `peregrine: load of migration failed: ${message}`,
  ]);
  expect([status, code]).toEqual(["failed", "CHANNEL_FAILED"]);
  expect(ended.stdout.match(/"code"/gu)).toHaveLength(1);
  await expectStaysAtSource(source);
});

test("one whose source dies says so", async () => {
  const { source, relay } = await relaying("--json");
  await source.kill();
  const ended = await relay.finished();
  expect(ended.status).toBe(1);
  const outcome = JSON.parse(ended.stdout.trimEnd().split("\n").at(-1)!) as Record<string, string>;
  expect(outcome["status"]).toBe("failed");
  expect(told(ended)).toEqual([
    `peregrine: ${outcome["code"]}: ${outcome["message"]}`,
    `peregrine: load of migration failed: ${outcome["message"]}`,
  ]);
});

test("one that waits for an address takes its source as its flags say", async () => {
  const [, last] = await peregrine.receive("tcp:127.0.0.1:0", "b", "--parallel", "1");
  const options = ["--parallel", "1", "--intake-parallel", "2"];
  const relay = peregrine.start("relay", "defer", last, "--name", "r", ...options);
  await relay.printed("stderr", /waits for the monitor's command migrate-incoming/u);
  const client = await peregrine.connect("r");
  const uri = `unix:${peregrine.directory}/intake`;
  await client.execute("migrate-incoming", { uri });
  const source = peregrine.start("run", guest("torture"), "--name", "a", ...ENDLESS);
  await source.printed("stdout", /sweep 1\n/u);
  expect(await peregrine.run("migrate", "a", uri, "--parallel", "2")).toMatchObject({
    status: 0,
    stderr: "",
  });
  expect(await relay.finished()).toMatchObject({ status: 0 });
  await client.close();
});
