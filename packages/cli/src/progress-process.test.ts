import { statSync } from "node:fs";
import { join } from "node:path";
import type { OutgoingSnapshot } from "@peregrine/shared-state";
import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import { scrape } from "./testing/scrape.ts";

const peregrine = usePeregrine();

/** Milliseconds for a condition that a migration comes to by itself. */
const SOON = { timeout: 10_000, interval: 100 };

function objects(lines: string): (OutgoingSnapshot & { readonly status: string })[] {
  const whole = lines.slice(0, lines.lastIndexOf("\n"));
  return whole.split("\n").map((line) => JSON.parse(line) as OutgoingSnapshot & { status: string });
}

test("a migration that converges says so while it runs, everywhere; both ends serve their figures", async () => {
  const socket = join(peregrine.directory, "metrics");
  const [, address] = await peregrine.receive("tcp:127.0.0.1:0", "b", "--metrics", `unix:${socket}`);
  // More than a second for the first pass, four fifths of that for the next one, and so on.
  const guestArgs = ["--", "--mib", "8", "--rate", "4", "--sweeps", "0"];
  const agentFlags = ["--name", "a", "--keep", "--metrics", "127.0.0.1:0"];
  const source = peregrine.start("run", guest("torture"), ...agentFlags, ...guestArgs);
  const [, from] = await source.printed("stderr", /Metrics are served at (http:\S+)\n/u);
  expect(statSync(socket).mode & 0o777).toBe(0o600);
  const running = async (): Promise<unknown> =>
    (await scrape(from!)).samples.get('peregrine_guest_state{state="running"}');
  await expect.poll(running, SOON).toBe(1);
  expect((await scrape(from!)).samples.get('peregrine_outgoing_state{state="none"}')).toBe(1);

  // Before that it has pages that it has not written to yet, and pages of zeros take next to no time.
  await source.printed("stdout", /^sweep 1\n/mu);
  const migrate = peregrine.start("migrate", "a", address, "--bandwidth", "5M", "--json");
  await migrate.printed("stdout", /"kind":"converging"/u);
  const [info, here, there] = await Promise.all([
    peregrine.report("a"),
    scrape(from!),
    scrape(`unix:${socket}`),
  ]);
  // What the verdict is by now depends on how busy the host is.
  expect(info).toMatchObject({ progress: { state: "active", verdict: { text: expect.any(String) } } });
  expect(here.samples.get('peregrine_outgoing_state{state="active"}')).toBe(1);
  expect(here.samples.get("peregrine_outgoing_sent_bytes_total")).toBeGreaterThan(1 << 20);
  expect(here.samples.get("peregrine_outgoing_dirty_bytes_per_second")).toBeGreaterThan(0);
  expect(there.samples.get('peregrine_incoming_state{state="active"}')).toBe(1);
  expect(there.samples.get("peregrine_incoming_received_bytes_total")).toBeGreaterThan(1 << 20);
  expect(there.samples.get("peregrine_guests")).toBe(0);

  const client = await peregrine.connect("a");
  await client.execute("migrate-set-parameters", { "max-bandwidth": 0 });
  await client.close();
  const { status, stdout } = await migrate.finished();
  expect(status).toBe(0);
  const shown = objects(stdout).slice(0, -1);
  for (const [index, now] of shown.entries()) {
    expect(now.fraction).toBeGreaterThanOrEqual(shown[index - 1]?.fraction ?? 0);
    expect(now.pass).toBeGreaterThanOrEqual(shown[index - 1]?.pass ?? 1);
  }
  // It arrives a moment after its source has been told so.
  const arrived = async (): Promise<unknown> =>
    (await scrape(`unix:${socket}`)).samples.get('peregrine_incoming_migrations_total{result="completed"}');
  await expect.poll(arrived, SOON).toBe(1);
  const [left, came] = await Promise.all([scrape(from!), scrape(`unix:${socket}`)]);
  expect(left.samples.get('peregrine_outgoing_migrations_total{result="completed"}')).toBe(1);
  expect(left.samples.get("peregrine_outgoing_progress_ratio")).toBe(1);
  expect(left.samples.get("peregrine_outgoing_last_downtime_seconds")).toBeGreaterThan(0);
  expect(left.samples.get('peregrine_outgoing_last_downtime_part_seconds{part="load"}')).toBeGreaterThan(0);
  expect(left.samples.get("peregrine_guests")).toBe(0);
  expect(came.samples.get("peregrine_guests")).toBe(1);
  expect(came.samples.get("peregrine_incoming_received_bytes_total")).toBe(
    left.samples.get("peregrine_outgoing_sent_bytes_total"),
  );
  expect(came.samples.get("peregrine_incoming_pass")).toBeGreaterThan(1);
});

test("a migration that does not converge says so while it runs, and what would help", async () => {
  const [, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  // A pass takes 2 s: in one in which the guest did not run at all the migration would end.
  const hot = ["--", "--mib", "4", "--rate", "0", "--sweeps", "100000000"];
  const source = peregrine.start("run", guest("torture"), "--name", "a", ...hot);
  await source.printed("stdout", /\n/u);
  const migrate = peregrine.start("migrate", "a", address, "--bandwidth", "2M", "--downtime", "1");
  await migrate.printed(
    "stdout",
    /^will not converge: dirtying \S+ .iB\/s, sending \S+ .iB\/s.*; try --xbzrle, --auto-converge, .*`peregrine stop`/mu,
  );
  // On a busy host a pass may be measured in which the guest hardly ran: the verdict of that one is another.
  const client = await peregrine.connect("a");
  await expect
    .poll(() => client.execute("query-migrate"), SOON)
    .toMatchObject({
      status: "active",
      "x-peregrine-progress": { direction: "outgoing", verdict: { kind: "will-not-converge" } },
    });
  await expect
    .poll(async () => (await peregrine.run("info", "a")).stdout, SOON)
    .toMatch(
      /^migration +will not converge: .*\nprogress +\d+ %, pass \d+: .*\nrates .*\ndowntime .*limit 1 ms, best .*$/mu,
    );
  expect(await peregrine.report("b")).toMatchObject({
    incoming: {
      direction: "incoming",
      state: "active",
      received: expect.any(Number),
      pass: expect.any(Number),
    },
  });
  await client.execute("migrate_cancel");
  await expect.poll(() => client.execute("query-migrate"), SOON).toEqual({ status: "cancelled" });
  await client.close();
  expect((await migrate.finished()).status).toBe(1);
  expect(await peregrine.report("a")).toMatchObject({ status: "running", owner: "owner" });
});
