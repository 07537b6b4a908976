// Breaks migrations between real agents at seeded points, and checks that exactly one side has the guest afterwards.
//
//   pnpm faults [--runs N] [--seed S] [--lanes N] [--diaries]
//   pnpm faults --seed S --run K    one run again, with its diary

import { randomInt } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "@peregrine/cli/build";
import { Lane } from "./lane.ts";
import { planRun, RUNS_PER_GUEST } from "./plan.ts";
import { failureText, Tally } from "./report.ts";

const given = options();
const seed = wholeNumber("seed", given.seed);
const lanes = wholeNumber("lanes", given.lanes);
const only = given.run === undefined ? undefined : wholeNumber("run", given.run);
const first = only ?? 0;
const count = only === undefined ? wholeNumber("runs", given.runs) : 1;

console.log(`seed ${seed}, ${only === undefined ? `${count} runs` : `run ${only}`}`);
await build();
const tally = new Tally();
const begun = performance.now();
let next = first;
await Promise.all(Array.from({ length: Math.min(lanes, count) }, work));
const minutes = (performance.now() - begun) / 60_000;
console.log(tally.table());
console.log(
  `${tally.runs} runs, ${tally.failures} failed; ${(tally.runs / minutes).toFixed(1)} runs per minute`,
);
leaveReport();
process.exitCode = tally.failures === 0 ? 0 : 1;

/** Takes runs that have the same kind of guest, one after the other. */
async function work(): Promise<void> {
  await using lane = await Lane.open();
  while (next < first + count) {
    const from = next;
    next = Math.min(first + count, (Math.floor(from / RUNS_PER_GUEST) + 1) * RUNS_PER_GUEST);
    const to = next;
    for (let number = from; number < to; number++) {
      const run = await lane.run(planRun(seed, number));
      tally.add(run);
      if (run.wrong.length > 0) console.log(failureText(run));
      else if (only !== undefined || given.diaries)
        console.log(`run ${number}: ${run.outcome}\n${run.diary.text}`);
    }
  }
}

/** For the summary of all test reports. */
function leaveReport(): void {
  const results = process.env["PEREGRINE_RESULTS"];
  if (results === undefined) return;
  const report = {
    numPassedTests: tally.runs - tally.failures,
    numFailedTests: tally.failures,
    success: tally.failures === 0,
  };
  writeFileSync(join(results, "faults.json"), JSON.stringify(report));
}

function options(): { runs: string; seed: string; lanes: string; diaries: boolean; run?: string } {
  try {
    return parseArgs({
      options: {
        runs: { type: "string", default: "100" },
        seed: { type: "string", default: String(randomInt(2 ** 31)) },
        run: { type: "string" },
        lanes: { type: "string", default: "3" },
        diaries: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  return Number.isInteger(value) && value >= 0 ? value : fail(`--${name} is a whole number`);
}

function fail(sentence: string): never {
  console.error(`faults: ${sentence}`);
  process.exit(2);
}
