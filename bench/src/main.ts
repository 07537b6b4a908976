/**
 * Measures Peregrine, side by side with real QEMU where it is compared, and writes `results.json` and `results.md`.
 * Takes the machine for itself: nothing else should run meanwhile.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import { build } from "@peregrine/cli/build";
import { noQemu } from "@peregrine/e2e/qemu/releases.ts";
import { describeMachine } from "./machine.ts";
import { table } from "./report.ts";
import { isMet } from "./scenario.ts";
import type { Row, Scenario } from "./scenario.ts";
import { scenarios } from "./scenarios.ts";
import { leaveMemoryCold } from "./warm-memory.ts";

const DEFAULT_PAIRS = 5;
const RESULTS = fileURLToPath(new URL("../results.json", import.meta.url));
const TABLE = fileURLToPath(new URL("../results.md", import.meta.url));

interface Options {
  readonly only?: readonly string[];
  readonly pairs: number;
  readonly cold?: boolean;
  readonly list?: boolean;
}

/** What is kept of each scenario: a run of one scenario leaves the figures of the others as they were. */
interface ScenarioResult {
  readonly title: string;
  readonly measured: string;
  readonly rows: readonly Row[];
}

function command(): Command {
  return new Command("bench")
    .description("measures Peregrine, side by side with real QEMU where it is compared")
    .option("--only <name...>", "only these scenarios")
    .option("--pairs <n>", "pairs that are measured for a median", wholeNumber, DEFAULT_PAIRS)
    .option("--cold", "does not have the machine touch memory before it is timed")
    .option("--list", "lists the scenarios");
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError("It has to be a number from 1 on.");
  return value;
}

function chosen(names: readonly string[] | undefined): readonly Scenario[] {
  if (names === undefined) return scenarios;
  const unknown = names.find((name) => scenarios.every((scenario) => scenario.name !== name));
  if (unknown !== undefined) {
    const known = scenarios.map(({ name }) => name).join(", ");
    throw new Error(`there is no scenario '${unknown}'. Known are: ${known}`);
  }
  return scenarios.filter(({ name }) => names.includes(name));
}

async function measure(scenario: Scenario, pairs: number): Promise<readonly Row[]> {
  const directory = await mkdtemp(join(tmpdir(), "peregrine-bench-"));
  try {
    return await scenario.run({ pairs, directory, log: (line) => console.error(`  ${line}`) });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const options = command().parse().opts<Options>();
  if (options.list === true) {
    for (const { name, title } of scenarios) console.log(`${name}: ${title}`);
    return;
  }
  if (options.cold === true) leaveMemoryCold();
  await build();
  const results: Record<string, ScenarioResult> = await earlierResults();
  const measured: Row[] = [];
  const machine = await describeMachine();
  for (const scenario of chosen(options.only)) {
    const { name, title } = scenario;
    console.error(`${name}: ${title}`);
    if (scenario.needsQemu && noQemu) {
      console.error("  left out: it compares with real QEMU");
      continue;
    }
    const rows = await measure(scenario, options.pairs);
    measured.push(...rows);
    // The figures of cold memory stand beside the others.
    const key = options.cold === true ? `${name} (cold)` : name;
    results[key] = {
      title,
      measured: new Date().toISOString(),
      rows: rows.map((row) => named(row, options)),
    };
    await writeFile(RESULTS, `${JSON.stringify({ machine, scenarios: results }, undefined, 2)}\n`);
  }
  const lines = Object.entries(machine).map(([key, value]) => `- ${key}: ${value}`);
  const all = Object.values(results).flatMap(({ rows }) => rows);
  await writeFile(TABLE, `# Figures\n\n${lines.join("\n")}\n\n${table(all)}\n`);
  console.log(table(measured));
  const missed = measured.filter((row) => isMet(row) === false);
  if (missed.length > 0) console.log(`missed: ${missed.map(({ name }) => name).join(", ")}`);
}

function named(row: Row, { cold = false }: Options): Row {
  return cold ? { ...row, name: `${row.name}, cold` } : row;
}

async function earlierResults(): Promise<Record<string, ScenarioResult>> {
  try {
    const text = await readFile(RESULTS, "utf8");
    return { ...(JSON.parse(text) as { scenarios: Record<string, ScenarioResult> }).scenarios };
  } catch {
    return {};
  }
}

await main();
