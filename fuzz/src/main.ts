// Gives hostile input to everything that reads from outside, until the time is over or something breaks a rule.
//
//   pnpm fuzz [--minutes N | --seconds N] [--seed N] [--target NAME] [--path PATH]

import { randomInt } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fuzz } from "../../packages/protocol/fuzz/run.ts";
import type { FuzzResult } from "../../packages/protocol/fuzz/run.ts";
import { Coverage } from "./coverage.ts";
import { FLOORS } from "./decoder-floors.ts";
import { TARGETS } from "./targets.ts";

const ROOT = new URL("../../", import.meta.url);
const MIB = 2 ** 20;
/** The floors were measured with so much time. */
const FLOOR_SECONDS = 55;

const names = TARGETS.map(({ name }) => name);
const { target, path, ...given } = options();
const seed = Number(given.seed);
const seconds = given.seconds === undefined ? 60 * Number(given.minutes) : Number(given.seconds);
if (!Number.isInteger(seed)) fail("--seed is a whole number");
if (!(seconds > 0)) fail("--minutes and --seconds are numbers above 0");
if (target !== undefined && !names.includes(target)) fail(`--target is one of ${names.join(", ")}`);

console.log(`seed ${seed}, ${seconds} s`);
const coverage = new Coverage(ROOT, Object.keys(FLOORS));
const checks: boolean[] = [];
const targets = { url: new URL("targets.ts", import.meta.url).href, list: TARGETS };
for await (const result of fuzz({ seconds, seed, target, path, targets, covered: "/packages/" })) {
  checks.push(result.finding === undefined);
  coverage.add(result.coverage);
  tell(result);
}
tellCoverage();
const failed = checks.filter((passed) => !passed).length;
console.log(`${checks.length - failed} passed, ${failed} failed`);
if (failed > 0) process.exitCode = 1;
report(checks.length - failed, failed);

function tell({ target: name, runs, memory, finding }: FuzzResult): void {
  const peak = memory === undefined ? "" : `, at most ${Math.ceil(memory.peak / MIB)} MiB of memory`;
  console.log(`${name}: ${runs} runs${peak}${finding === undefined ? "" : `, then a ${finding.kind}`}`);
  if (finding === undefined) return;
  console.log(
    `${finding.text}\n\nonce more: pnpm fuzz --target ${name} --seed ${seed} --path ${finding.path}`,
  );
}

/** Of a run of all targets that had the time, each file has to be reached as far as it was when the floors were set. */
function tellCoverage(): void {
  const counts = target === undefined && path === undefined && seconds >= FLOOR_SECONDS;
  const width = Math.max(...Object.keys(FLOORS).map(({ length }) => length));
  console.log(`\n${"FILE".padEnd(width)}   LINES  REACHED  FLOOR  FUNCTIONS`);
  for (const { file, lines, linesReached, functions, functionsReached } of coverage.files()) {
    const reached = (100 * linesReached) / Math.max(1, lines);
    const floor = FLOORS[file]!;
    const low = counts && reached < floor;
    console.log(
      `${file.padEnd(width)}  ${String(lines).padStart(6)}  ${reached.toFixed(1).padStart(5)} %  ` +
        `${String(floor).padStart(3)} %  ${functionsReached} of ${functions}${low ? "  TOO LITTLE" : ""}`,
    );
    if (counts) checks.push(!low);
  }
}

/** For the summary of CI, which adds up what vitest reports. */
function report(passed: number, broken: number): void {
  const directory = process.env["PEREGRINE_RESULTS"];
  if (directory === undefined) return;
  const text = JSON.stringify({ numPassedTests: passed, numFailedTests: broken, success: broken === 0 });
  writeFileSync(join(directory, "fuzz-run.json"), text);
}

function options(): { minutes: string; seconds?: string; seed: string; target?: string; path?: string } {
  try {
    return parseArgs({
      options: {
        minutes: { type: "string", default: "1" },
        seconds: { type: "string" },
        seed: { type: "string", default: String(randomInt(2 ** 31)) },
        target: { type: "string" },
        path: { type: "string" },
      },
    }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function fail(sentence: string): never {
  console.error(`fuzz: ${sentence}`);
  process.exit(2);
}
