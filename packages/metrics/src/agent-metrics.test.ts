import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { figures, incoming, outgoing } from "../test/figures.ts";
import { METRICS_DOCUMENT, renderMetricsDocument } from "../test/metrics-document.ts";
import { AgentMetrics, DEFINITIONS } from "./agent-metrics.ts";
import type { AgentFigures } from "./figures.ts";

/** What Prometheus would read: each sample by its name and labels. */
async function scrape(metrics: AgentMetrics): Promise<ReadonlyMap<string, number>> {
  const lines = (await metrics.render()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

/** An agent whose figures can be set. */
class FakeAgent {
  now: AgentFigures;
  readonly metrics = new AgentMetrics(() => this.now);

  constructor(first: AgentFigures) {
    this.now = first;
  }
}

test("docs/metrics.md lists the metrics; `node packages/metrics/test/metrics-document.ts` writes it anew", () => {
  expect(readFileSync(METRICS_DOCUMENT, "utf8")).toBe(renderMetricsDocument());
});

test("names are those that Prometheus asks for", () => {
  const names = DEFINITIONS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, kind, help } of DEFINITIONS) {
    expect(name).toMatch(/^peregrine_[a-z_]+$/u);
    expect(name.endsWith("_total")).toBe(kind === "counter");
    expect(name).not.toMatch(/_(?:ms|milliseconds|mib|percent)(?:_|$)/u);
    expect(help).toMatch(/^[A-Z0-9].*\.$/u);
  }
});

test("an agent that has had no migration has counters at 0, states, and nothing that it cannot know", async () => {
  const samples = await scrape(new FakeAgent(figures({})).metrics);
  expect(samples.get('peregrine_agent_info{guest="web",machine="wasm-1",version="1.2.3"}')).toBe(1);
  expect(samples.get("peregrine_guests")).toBe(1);
  expect(samples.get("peregrine_guest_memory_bytes")).toBe(4096);
  expect(samples.get('peregrine_guest_state{state="running"}')).toBe(1);
  expect(samples.get('peregrine_guest_state{state="paused"}')).toBe(0);
  expect(samples.get('peregrine_outgoing_state{state="none"}')).toBe(1);
  expect(samples.get("peregrine_outgoing_sent_bytes_total")).toBe(0);
  expect(samples.get('peregrine_incoming_state{state="none"}')).toBe(1);
  expect(samples.has("peregrine_outgoing_progress_ratio")).toBe(false);
  expect(samples.has("peregrine_incoming_receive_bytes_per_second")).toBe(false);
  expect(samples.get("process_resident_memory_bytes")).toBeGreaterThan(0);
});

test("a migration that is under way is shown in base units", async () => {
  const samples = await scrape(new FakeAgent(figures({ outgoing: outgoing({}) })).metrics);
  const expected = {
    'peregrine_outgoing_state{state="active"}': 1,
    'peregrine_outgoing_state{state="none"}': 0,
    'peregrine_outgoing_verdict{verdict="converging"}': 1,
    peregrine_outgoing_sent_bytes_total: 50_000,
    'peregrine_outgoing_pages_total{kind="normal"}': 10,
    'peregrine_outgoing_pages_total{kind="zero"}': 3,
    'peregrine_outgoing_pages_total{kind="xbzrle"}': 2,
    peregrine_outgoing_passes_total: 2,
    peregrine_outgoing_dirty_bytes_per_second: 500,
    peregrine_outgoing_predicted_downtime_seconds: 4.096,
    peregrine_outgoing_downtime_limit_seconds: 0.03,
    peregrine_outgoing_throttle_ratio: 0.2,
    peregrine_outgoing_elapsed_seconds: 1.5,
    'peregrine_outgoing_migrations_total{result="completed"}': 0,
  };
  for (const [name, value] of Object.entries(expected))
    expect([name, samples.get(name)]).toEqual([name, value]);
  expect(samples.has("peregrine_outgoing_last_downtime_seconds")).toBe(false);
});

test("what becomes unknown again is left out, and is no 0", async () => {
  const made = new FakeAgent(figures({ outgoing: outgoing({}) }));
  expect((await scrape(made.metrics)).has("peregrine_outgoing_dirty_bytes_per_second")).toBe(true);
  made.now = figures({ outgoing: outgoing({ migration: 2, pass: 1, dirtyRate: 0 }) });
  expect((await scrape(made.metrics)).has("peregrine_outgoing_dirty_bytes_per_second")).toBe(false);
});

test("counters add up over migrations, and ends are counted once, by how and why", async () => {
  const made = new FakeAgent(
    figures({ outgoing: outgoing({ state: "failed" }), outgoingError: "CONNECT_FAILED" }),
  );
  made.metrics.observe();
  made.metrics.observe();
  made.now = figures({ outgoing: outgoing({ migration: 2, transferred: 7, pass: 1 }) });
  let samples = await scrape(made.metrics);
  expect(samples.get("peregrine_outgoing_sent_bytes_total")).toBe(50_007);
  expect(samples.get("peregrine_outgoing_passes_total")).toBe(3);
  expect(samples.get('peregrine_outgoing_migrations_total{result="failed"}')).toBe(1);
  expect(samples.get('peregrine_outgoing_failures_total{code="CONNECT_FAILED"}')).toBe(1);
  const downtimeParts = { stop: 1, load: 9 };
  const completed = outgoing({ migration: 2, state: "completed", transferred: 8, pass: 2, downtime: 10 });
  made.now = figures({ outgoing: completed, downtimeParts });
  made.metrics.observe();
  // The next one has begun, and what the last one has had stays known.
  made.now = figures({ outgoing: outgoing({ migration: 3, transferred: 0, pass: 0 }) });
  samples = await scrape(made.metrics);
  expect(samples.get("peregrine_outgoing_sent_bytes_total")).toBe(50_008);
  expect(samples.get('peregrine_outgoing_migrations_total{result="completed"}')).toBe(1);
  expect(samples.get("peregrine_outgoing_last_downtime_seconds")).toBe(0.01);
  expect(samples.get('peregrine_outgoing_last_downtime_part_seconds{part="load"}')).toBe(0.009);
});

test("a guest that arrives is shown, and how that ended is counted once", async () => {
  const made = new FakeAgent(figures({ owner: "not-owner", runState: "inmigrate", incoming: incoming({}) }));
  let samples = await scrape(made.metrics);
  expect(samples.get("peregrine_guests")).toBe(0);
  expect(samples.get('peregrine_incoming_state{state="active"}')).toBe(1);
  expect(samples.get("peregrine_incoming_received_bytes_total")).toBe(7000);
  expect(samples.get("peregrine_incoming_receive_bytes_per_second")).toBe(10_000);
  expect(samples.get("peregrine_incoming_pass")).toBe(1);
  made.now = figures({ incoming: incoming({ state: "failed", pass: null }), incomingError: "CHANNEL_CUT" });
  made.metrics.observe();
  samples = await scrape(made.metrics);
  expect(samples.get('peregrine_incoming_migrations_total{result="failed"}')).toBe(1);
  expect(samples.get('peregrine_incoming_failures_total{code="CHANNEL_CUT"}')).toBe(1);
  expect(samples.has("peregrine_incoming_pass")).toBe(false);
});
