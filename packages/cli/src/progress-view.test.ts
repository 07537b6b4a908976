import { expect, test } from "vitest";
import type { ProgressSample } from "./progress.ts";
import { advance } from "./progress.ts";
import { progressLines } from "./progress-text.ts";
import { jsonView, linesView } from "./progress-view.ts";

const MIB = 2 ** 20;

const sample = (pass: number, passTotal: number, remaining: number): ProgressSample => ({
  pass,
  passTotal: passTotal * MIB,
  passBytes: 0,
  remaining: remaining * MIB,
  total: 64 * MIB,
  transferred: 10 * MIB,
  diskTotal: 0,
  diskRemaining: 0,
  sendRate: 180 * MIB,
  retireRate: 200 * MIB,
  dirtyRate: 310 * MIB,
  downtimeLimit: 30,
  bandwidthLimit: 0,
});

/** Passes that do not get any smaller. */
const HOPELESS = [1, 2, 3, 4, 5, 6].map((pass) => sample(pass, 64, 32));

function collect(): { readonly lines: () => string[]; write(text: string): boolean } {
  let all = "";
  return {
    lines: () => all.split("\n").slice(0, -1),
    write: (text) => {
      all += text;
      return true;
    },
  };
}

test("a terminal is shown a bar that fits it", () => {
  const progress = advance(undefined, sample(2, 64, 16));
  for (const columns of [60, 80, 200]) {
    const [bar] = progressLines(progress, columns);
    expect(bar!.length).toBeLessThanOrEqual(columns);
    expect(bar).toMatch(/^pass 2 {2}\[#+-+\] {2}75 % {2}48 MiB of 64 MiB$/u);
  }
  expect(progressLines(progress, 80)[1]).toBe(
    "10 MiB sent, sending 180 MiB/s, dirtying 310 MiB/s, downtime 320 ms, limit 30 ms",
  );
  const drives = { ...progress, diskTotal: 100 * MIB, diskRemaining: 3 * MIB };
  expect(progressLines(drives, 80)[1]).toMatch(/^3 MiB of drives left, 10 MiB sent, /u);
});

test.each([
  [0, "raise --downtime to 320 or more, or pause the guest with `peregrine stop`"],
  [200 * MIB, "raise --downtime to 320 or more, raise --bandwidth, or pause the guest with `peregrine stop`"],
])("with a limit of %i a migration that will not converge is told so, with what to do", (limit, advice) => {
  const samples = HOPELESS.map((next) => ({ ...next, bandwidthLimit: limit }));
  const progress = samples.reduce(advance, advance(undefined, samples[0]!));
  expect(progressLines(progress, 80)[2]).toBe(
    `dirtying 310 MiB/s, sending 180 MiB/s: will not converge; ${advice}`,
  );
});

test("lines come once for a pass, and once in a second of a long one", () => {
  const output = collect();
  let now = 0;
  const view = linesView(output, () => now);
  for (const [time, remaining] of [
    [0, 64],
    [500, 48],
    [1000, 32],
    [1500, 16],
  ] as const) {
    now = time;
    view.show(sample(1, 64, remaining));
  }
  view.show(sample(2, 8, 8));
  expect(output.lines().map((line) => line.split(" of ")[0])).toEqual([
    "pass 1: 0 %",
    "pass 1: 50 %",
    "pass 2: 0 %",
  ]);
});

test("the verdict is a line of its own, once", () => {
  const output = collect();
  const view = linesView(output, () => 0);
  for (const next of HOPELESS) view.show(next);
  expect(output.lines().filter((line) => line.includes("will not converge"))).toHaveLength(1);
});

test("JSON is one object per line, with the verdict", () => {
  const output = collect();
  const view = jsonView(output);
  for (const next of HOPELESS) view.show(next);
  const objects = output.lines().map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(objects).toHaveLength(HOPELESS.length);
  expect(objects[0]).toMatchObject({ status: "active", pass: 1, fraction: 0.5, verdict: null });
  expect(objects.at(-1)!["verdict"]).toContain("will not converge");
});
