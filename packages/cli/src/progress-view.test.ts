import { expect, test } from "vitest";
import type { ShownProgress } from "./agent-report.ts";
import { progressLines } from "./progress-text.ts";
import { isShown, jsonView, linesView } from "./progress-view.ts";

const MIB = 2 ** 20;

/** A third of pass 3 is done. */
const shown = (changes: Partial<ShownProgress>): ShownProgress => ({
  state: "active",
  fraction: 0.625,
  pass: 3,
  passTotal: 64 * MIB,
  passDone: 48 * MIB,
  transferred: 100 * MIB,
  diskTotal: 0,
  diskRemaining: 0,
  sendRate: 180 * MIB,
  dirtyRate: 90 * MIB,
  predictedDowntime: 320,
  leastDowntime: 200,
  leastPass: 2,
  downtimeLimit: 30,
  verdict: { kind: "converging", text: "converging, about 12 s left" },
  ...changes,
});

const HOPELESS = shown({ verdict: { kind: "will-not-converge", text: "will not converge: ..." } });

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

test("a terminal is shown a bar that fits it, the figures and the verdict", () => {
  for (const columns of [60, 80, 200]) {
    const [bar] = progressLines(shown({}), columns);
    expect(bar!.length).toBeLessThanOrEqual(columns);
    expect(bar).toMatch(/^\[#+-+\] {2}62 % {2}pass 3: 48 MiB of 64 MiB$/u);
  }
  expect(progressLines(shown({}), 80).slice(1)).toEqual([
    "100 MiB sent, sending 180 MiB/s, dirtying 90 MiB/s, downtime 320 ms, limit 30 ms, best 200 ms in pass 2",
    "converging, about 12 s left",
  ]);
});

test("what is not known is not shown as a figure, and drives only where there are some", () => {
  const [, first] = progressLines(
    shown({ pass: 1, dirtyRate: null, predictedDowntime: null, leastDowntime: null }),
    80,
  );
  expect(first).toBe(
    "100 MiB sent, sending 180 MiB/s, dirtying not known yet, downtime not known yet, limit 30 ms",
  );
  expect(progressLines(shown({ diskTotal: 100 * MIB, diskRemaining: 3 * MIB }), 80)[1]).toMatch(
    /^3 MiB of drives left, 100 MiB sent, /u,
  );
});

test("lines come once for a pass, and once in a second of a long one", () => {
  const output = collect();
  let now = 0;
  const view = linesView(output, () => now);
  for (const [time, fraction] of [
    [0, 0.1],
    [500, 0.2],
    [1000, 0.3],
    [1500, 0.4],
  ] as const) {
    now = time;
    view.show(shown({ fraction }));
  }
  view.show(shown({ pass: 4, fraction: 0.5 }));
  expect(output.lines().map((line) => line.split(",").slice(0, 2).join())).toEqual([
    "pass 3: 48 MiB of 64 MiB, 10 % in all",
    "pass 3: 48 MiB of 64 MiB, 30 % in all",
    "pass 4: 48 MiB of 64 MiB, 50 % in all",
  ]);
  expect(output.lines()[0]).toMatch(/, best 200 ms in pass 2; converging, about 12 s left$/u);
});

test("a verdict that asks for something is a line of its own at once, and once", () => {
  const output = collect();
  const view = linesView(output, () => 0);
  for (const next of [shown({}), HOPELESS, HOPELESS, HOPELESS]) view.show(next);
  expect(output.lines().slice(1)).toEqual(["will not converge: ..."]);
});

test("JSON is one object per line: the snapshot with its verdict", () => {
  const output = collect();
  const view = jsonView(output);
  view.show(shown({}));
  view.show(HOPELESS);
  view.note("something was done");
  expect(output.lines().map((line) => JSON.parse(line) as unknown)).toEqual([
    { status: "active", ...shown({}) },
    { status: "active", ...HOPELESS },
    { status: "active", note: "something was done" },
  ]);
});

test("a migration is shown from the first pass until the guest is handed over", () => {
  const states = ["setup", "active", "pre-switchover", "device", "cancelling", "completed"];
  expect(states.filter((state) => isShown(shown({ state })))).toEqual(["active", "pre-switchover", "device"]);
});
